package aws

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

// Recorded is what shaped the calls of a recording and stands in no
// configuration: it follows from their URLs. See Settings.Recorded.
type Recorded struct {
	FIPS, DualStack bool // which endpoints answered
	PathStyle       bool // S3 behind a custom endpoint
}

// apply makes a configuration call the recorded endpoints, and try again at
// once, whatever the budget for that was: the recording says how often it was.
func (r *Recorded) apply(c *aws.Config) {
	var env awsconfig.EnvConfig
	if r.FIPS {
		env.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if r.DualStack {
		env.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	c.ConfigSources = []any{env}
	attempts := max(1, c.RetryMaxAttempts)
	c.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = attempts
			o.RateLimiter = ratelimit.None
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}
}
