package verify

import (
	"fmt"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// BenchmarkVerify checks a ledger of 100,000 records, a year of 274 runs a day.
func BenchmarkVerify(b *testing.B) {
	const n = 100_000
	w := newWorld(b)
	w.configure(t0, evidence.EventStarted, map[evidence.Stream]string{buckets: "*/5 * * * *"})
	first := t0.Truncate(5 * time.Minute)
	for i := range n - 1 {
		w.run(buckets, first.Add(time.Duration(i+1)*5*time.Minute), func(r *evidence.Run) {
			for j := range 10 { // a record of about the usual size
				r.Calls = append(r.Calls, evidence.CallCount{Operation: fmt.Sprintf("s3:GetBucketSetting%d", j), Calls: 500, Attempts: 501})
			}
		})
	}
	w.seal()
	b.ReportAllocs()
	for b.Loop() {
		if r := w.verify(Options{}); !r.OK || r.Records != n {
			b.Fatalf("%d records, problems:\n%s", r.Records, lines(r.Problems))
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
