package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"time"
)

// MaxJitter is the longest delay that an agent should give a task.
const MaxJitter = 5 * time.Minute

// Jitter gives how long after its slot a task of a stream should start, so that
// the tasks of one slot do not all call the provider at once. It is the same
// for the same arguments on every machine and after every restart. It is at
// least 0 and less than a tenth of the period and than limit; a period under a
// minute has none. It moves the start of a task, never its slot.
func Jitter(stream string, period, limit time.Duration) time.Duration {
	bound := min(period/10, limit)
	if period < time.Minute || bound <= 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(stream))
	// The sum as a fraction of 2^64, times the bound.
	delay, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:8]), uint64(bound))
	return time.Duration(delay).Truncate(time.Millisecond) //nolint:gosec // less than bound, which is an int64
}
