package aws

import (
	"context"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// Watch hands see the input of each later call over the estate, as the SDK
// takes it. The last to watch is the only one.
func (e *Estate) Watch(see func(operation string, input any)) {
	e.ambient.APIOptions = []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("tallystick.Watch",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
				middleware.InitializeOutput, middleware.Metadata, error,
			) {
				see(prefix(awsmiddleware.GetServiceID(ctx))+":"+awsmiddleware.GetOperationName(ctx), in.Parameters)
				return next.HandleInitialize(ctx, in)
			}), middleware.After)
	}}
}
