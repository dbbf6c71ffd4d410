package agent

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// burst is how many calls a budget may save up.
	burst = 10
	// unlimited is the rate that a budget without one is taken to have while the
	// provider refuses calls.
	unlimited = 8 * burst
	// slowest is the part of its rate, one in so many, that a budget keeps
	// whatever is refused.
	slowest = 8
	// recovery is how long a budget takes to come back from nothing.
	recovery = time.Minute
	// pauses is how often in a row a budget waits before it asks again: for
	// firstPause, and then four times as long each time. A provider that refuses
	// after that is asked on, at the slowest rate: calls become gaps, as they
	// must, and the task comes to its end.
	pauses     = 3
	firstPause = time.Second
	// longestPause bounds a pause for which the provider asks.
	longestPause = time.Minute
)

// budget is what all collectors together may ask of one service in one account
// and region: so many calls a second, and less while the provider refuses
// calls for being too many. A refusal halves the rate, and the rate comes back
// with time.
type budget struct {
	turn chan struct{} // held by the call that goes next; the others stand in line

	mu     sync.Mutex    // guards everything below
	full   rate.Limit    // as configured; rate.Inf: no limit
	tokens *rate.Limiter // at the rate in force

	slowed bool
	since  time.Time  // when the newest refusal that counted came
	from   rate.Limit // the rate at that time
	until  time.Time  // no call goes before
	row    int        // refusals that counted since a call was served
}

// newBudget makes a full budget. Without a rate it has no limit.
func newBudget(perSecond float64) *budget {
	full := rate.Limit(perSecond)
	if perSecond <= 0 {
		full = rate.Inf
	}
	return &budget{turn: make(chan struct{}, 1), full: full, tokens: rate.NewLimiter(full, burst)}
}

// most is the rate to which the budget recovers.
func (b *budget) most() rate.Limit {
	if b.full == rate.Inf {
		return unlimited
	}
	return b.full
}

// wait gives how long nothing may be spent, as things are. It spends nothing.
func (b *budget) wait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	r := b.tokens.ReserveN(now, 1)
	defer r.CancelAt(now)
	return max(r.DelayFrom(now), b.until.Sub(now))
}

// spend takes one call from the budget, or gives false when it has none.
func (b *budget) spend(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	return !now.Before(b.until) && b.tokens.AllowN(now, 1)
}

// served says that a call which was sent then was answered, with whatever but a
// refusal.
func (b *budget) served(sent time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if sent.After(b.since) {
		b.row = 0
	}
}

// refused says that a call which was sent then was one too many, and how long
// the provider asks to wait. It gives true when the budget was full before.
// Calls that were under way when a refusal came say nothing new: they were all
// made at the rate of before.
func (b *budget) refused(sent, now time.Time, after time.Duration) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slowed && !sent.After(b.since) {
		return false
	}
	b.advance(now)
	if b.row < pauses {
		b.until = now.Add(max(firstPause<<(2*b.row), min(after, longestPause)))
	}
	first = !b.slowed
	b.slowed, b.since, b.row = true, now, b.row+1
	b.from = max(min(b.tokens.Limit(), b.most())/2, b.most()/slowest)
	b.tokens.SetLimitAt(now, b.from)
	b.tokens.SetBurstAt(now, 1)
	b.tokens.AllowN(now, 1) // what was saved up is gone
	return first
}

// advance brings the rate up to what it is by now. It is called with mu held.
func (b *budget) advance(now time.Time) {
	if !b.slowed {
		return
	}
	is := b.from + b.most()*rate.Limit(now.Sub(b.since).Seconds()/recovery.Seconds())
	if is < b.most() {
		b.tokens.SetLimitAt(now, is)
		return
	}
	b.slowed, b.row = false, 0
	b.tokens.SetLimitAt(now, b.full)
	b.tokens.SetBurstAt(now, burst)
}
