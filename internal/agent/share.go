package agent

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// Budget lends the limits of tasks to calls that belong to none. All that is
// called through one Budget shares them.
type Budget struct{ limiter *limiter }

// NewBudget makes a budget of its own, which tells metrics and log what it holds
// back.
func NewBudget(l Limits, metrics *telemetry.Metrics, log *zap.Logger) *Budget {
	return &Budget{newLimiter(l, metrics, log)}
}

// Transport gives the way of a task's calls to the provider: the limits of the
// scope, then keep in the place of capture, then the bound of each attempt. What
// keep gives must have read an answer to its end when it returns.
func (b *Budget) Transport(scope evidence.Scope, p Provider, keep func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
	return b.limiter.transport(scope, &p, keep(bounded(p.Transport)))
}
