package aws

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/tallystick/tallystick/evidence"
)

// TestAgentIsBounded: an agent that does not answer must not hold up all tasks.
// The SDK would wait for it for ever, and everyone who needs credentials with
// it, whatever their own deadlines.
func TestAgentIsBounded(t *testing.T) {
	asked := make(chan struct{}, 1)
	stop := make(chan struct{})
	agent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-stop
	}))
	defer agent.Close()
	defer close(stop)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.URL,
	} {
		t.Setenv(name, value)
	}
	client := awshttp.NewBuildableClient().WithTimeout(50 * time.Millisecond)
	cfg, err := awsconfig.LoadDefaultConfig(t.Context(),
		append(ambient(Settings{}, client, "us-east-1"), awsconfig.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = cfg.Credentials.Retrieve(ctx)
	if class, _, _ := failure(err); class != evidence.Timeout || ctx.Err() != nil {
		t.Errorf("got %v, want that time ran out, and not the caller's", err)
	}
	select {
	case <-asked:
	default:
		t.Error("the agent was not asked")
	}
}
