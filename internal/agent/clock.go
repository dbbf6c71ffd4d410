package agent

import (
	"context"
	"sync"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Clock is the agent's time. All of the agent's times are UTC.
type Clock interface {
	Now() time.Time
	// Wait blocks for d, or until ctx ends, and gives the cause then.
	Wait(ctx context.Context, d time.Duration) error
	// Kind is what records say of their times.
	Kind() evidence.Clock
}

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now gives the time without its monotonic part, as records keep it.
func (SystemClock) Now() time.Time { return time.Now().UTC().Round(0) }

// Kind gives evidence.ClockSystem.
func (SystemClock) Kind() evidence.Clock { return evidence.ClockSystem }

// Wait blocks for d.
func (SystemClock) Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// SimulatedClock is a clock that runs with the machine's, from another start,
// and leaps over every wait. What is recorded under it is not evidence, and
// says so.
type SimulatedClock struct {
	mu     sync.Mutex
	offset time.Duration // guarded by mu
	live   bool          // guarded by mu
}

// NewSimulatedClock gives a clock that starts at start.
func NewSimulatedClock(start time.Time) *SimulatedClock {
	return &SimulatedClock{offset: time.Until(start)}
}

// Now gives the simulated time.
func (c *SimulatedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset).UTC().Round(0)
}

// Kind gives evidence.ClockSimulated.
func (*SimulatedClock) Kind() evidence.Clock { return evidence.ClockSimulated }

// Wait leaps forward by d, or waits like a real clock once Live was called.
func (c *SimulatedClock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	live := c.live
	if !live {
		c.offset += max(d, 0)
	}
	c.mu.Unlock()
	if live {
		return SystemClock{}.Wait(ctx, d)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Live makes later waits take their time.
func (c *SimulatedClock) Live() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = true
}
