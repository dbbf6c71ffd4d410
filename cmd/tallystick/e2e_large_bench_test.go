package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence/seal"
)

// largeInFlight is limits.in_flight.
const largeInFlight = 64

// BenchmarkLarge looks once at an account of 100,000 resources in 20 regions:
// `tallystick collect`, which collects, seals and judges, as the program is
// built for a release, against a server in a process of its own that answers
// after 50 ms. Half of everything is in one region, a quarter in another. No
// rates are set: the quotas are the operator's, and what they allow is not to
// be measured. The metrics:
//
//	calls         made by the program
//	fewest-calls  each question asked once, with the largest page that the API gives
//	ideal-s       the larger of fewest-calls × latency ÷ calls in flight, and
//	              the longest chain of calls that need each other × latency
//	wall-s        until the command ended
//	wall-ratio    wall-s ÷ ideal-s
//	cpu-s         of the program, user and system
//	peak-MB       of the program, resident
//	answer-MB     bodies of the answers
//	disk-MB       the data directory
func BenchmarkLarge(b *testing.B) {
	folder := b.TempDir()
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", folder+"/", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	var all largeRun
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		place := filepath.Join(folder, fmt.Sprint(n))
		check(b, os.Mkdir(place, 0o750))
		b.StartTimer()
		all.add(collectLarge(b, filepath.Join(folder, "tallystick"), place))
	}
	runs := float64(b.N)
	fewest := all.fewest()
	ideal := max(time.Duration(fewest)*largeLatency/largeInFlight, time.Duration(largeChain())*largeLatency)
	b.ReportMetric(float64(all.made)/runs, "calls")
	b.ReportMetric(float64(fewest), "fewest-calls")
	b.ReportMetric(ideal.Seconds(), "ideal-s")
	b.ReportMetric(all.wall.Seconds()/runs, "wall-s")
	b.ReportMetric(all.wall.Seconds()/runs/ideal.Seconds(), "wall-ratio")
	b.ReportMetric(all.cpu.Seconds()/runs, "cpu-s")
	b.ReportMetric(float64(all.peak)/1024, "peak-MB")
	b.ReportMetric(float64(all.counts.Bytes)/1e6, "answer-MB")
	b.ReportMetric(float64(all.disk)/1e6, "disk-MB")
	all.tell(b)
}

// largeRun is what runs of the program took, and the counts of the last.
type largeRun struct {
	wall, cpu time.Duration
	peak      int64 // KiB
	disk      int64
	counts    largeCounts
	made      int // calls
}

func (r *largeRun) add(o largeRun) {
	r.wall += o.wall
	r.cpu += o.cpu
	r.peak = max(r.peak, o.peak)
	r.disk, r.counts = o.disk, o.counts
	r.made += o.made
}

// fewest is how many calls are needed: those that ask for something else than
// all calls before them, and of lists so many as there are pages of the largest
// size.
func (r *largeRun) fewest() int {
	n := 0
	for op, c := range r.counts.Calls {
		n += largeFewest(op, c)
	}
	return n
}

func largeFewest(op string, c *largeCalls) int {
	lists := append(largeLists(),
		largeList{op: "s3:ListBuckets", of: "bucket", most: largeBucketsPage},
		largeList{op: "iam:GetAccountAuthorizationDetails", of: "user group role policy", most: largeDetailsPage})
	i := slices.IndexFunc(lists, func(l largeList) bool { return l.op == op })
	if i < 0 {
		return c.Made - c.Again
	}
	pages := 0
	for _, n := range largePages(lists[i]) {
		pages += n
	}
	for _, twice := range largeConditions() { // the same list under another condition
		if twice == op {
			pages += len(largeRegions())
		}
	}
	return pages
}

// largeConditions are the lists that are asked for under a second condition too,
// to which nothing answers: snapshots that are public, and those of AWS Backup.
func largeConditions() []string { return []string{"ec2:DescribeSnapshots", "rds:DescribeDBSnapshots"} }

// largePages is how many pages a list has, by region, where pages have the
// largest size.
func largePages(l largeList) (pages []int) {
	for _, region := range largeRegions() {
		n, global := 0, false
		for of := range strings.FieldsSeq(l.of) {
			n += largeCount(of, region)
			global = global || slices.ContainsFunc(largeMix(), func(o largeOf) bool { return o.name == of && o.global })
		}
		pages = append(pages, max(1, (n+l.most-1)/l.most))
		if global {
			break
		}
	}
	return pages
}

// largeChain is the longest row of calls each of which needs the one before it:
// who is asked, in which regions, the pages of a list, and what is asked of each
// on the last page.
func largeChain() (chain int) {
	for _, l := range largeLists() {
		chain = max(chain, 2+slices.Max(largePages(l))+l.details)
	}
	return chain
}

// tell lists the calls that were not needed.
func (r *largeRun) tell(b *testing.B) {
	b.Helper()
	var lines []string
	for _, op := range slices.Sorted(maps.Keys(r.counts.Calls)) {
		c := r.counts.Calls[op]
		if more := c.Made - largeFewest(op, c); more != 0 {
			lines = append(lines, fmt.Sprintf("%s: %d made, %d more than needed", op, c.Made, more))
		}
	}
	b.Logf("calls that were not needed:\n%s", strings.Join(lines, "\n"))
}

// collectLarge runs the program once, in a folder of its own.
func collectLarge(b *testing.B, program, folder string) (r largeRun) {
	b.Helper()
	skey, _, err := seal.NewKey("example.com/large")
	check(b, err)
	check(b, seal.WriteKey(filepath.Join(folder, "tallystick.key"), skey))
	check(b, os.WriteFile(filepath.Join(folder, "tallystick.yaml"), fmt.Appendf(nil, `organization: Example, Inc.
period: {start: 2026-01-01, end: 2099-12-31}
evidence: {dir: ./evidence, key: ./tallystick.key}
limits: {in_flight: %d, rate: {default: 0, account: 0, iam: 0, organizations: 0, s3: 0}}
aws: {accounts: [{id: %q}]}
`, largeInFlight, largeAccount), 0o600))
	url, stop := startLarge(b)
	cmd := exec.CommandContext(b.Context(), program, "collect", "--config", "tallystick.yaml", "--output", "json")
	cmd.Dir = folder
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "TMPDIR=" + folder, "AWS_EC2_METADATA_DISABLED=true",
		// S3 Control puts the account before the host: the server is the proxy
		// to all hosts.
		"AWS_ENDPOINT_URL=http://aws.example.com", "HTTP_PROXY=" + url, "AWS_MAX_ATTEMPTS=1",
		"AWS_ACCESS_KEY_ID=AKIALARGEESTATE00000", "AWS_SECRET_ACCESS_KEY=large",
		"AWS_CONFIG_FILE=" + filepath.Join(folder, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(folder, "none"),
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	check(b, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r.peak = watchPeak(cmd.Process.Pid, ended)
	failure := <-ended
	r.wall = time.Since(began)
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	r.counts = stop()
	for _, c := range r.counts.Calls {
		r.made += c.Made
	}
	check(b, filepath.WalkDir(filepath.Join(folder, "evidence"), func(_ string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			r.disk += info.Size()
		}
		return err
	}))
	wholeLarge(b, stdout.Bytes())
	if failure != nil {
		b.Errorf("%v: %v\n%.4000s", cmd.Args, failure, stderr.String())
	}
	return r
}

// wholeLarge demands that everything was seen: what is measured is work that
// was done. A collector whose calls the server does not know leaves gaps, and
// largeAnswers lacks an answer.
func wholeLarge(b *testing.B, out []byte) {
	b.Helper()
	var told struct{ Tasks []taskJSON }
	check(b, json.Unmarshal(out, &told))
	observations := 0
	for _, t := range told.Tasks {
		observations += t.Observations
		if t.Error != "" || t.Gaps > 0 {
			b.Errorf("%s: %s, %d gaps %+v", t.Collector, t.Error, t.Gaps, t.Causes)
		}
	}
	if observations < largeResources {
		b.Errorf("%d observations of %d resources", observations, largeResources)
	}
	b.Logf("%d tasks, %d observations", len(told.Tasks), observations)
}

// startLarge starts the server. Stop ends it and gives what it counted.
func startLarge(b *testing.B) (url string, stop func() largeCounts) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestLargeServer$")
	cmd.Env = append(os.Environ(), "TALLYSTICK_LARGE_SERVER=1")
	in, err := cmd.StdinPipe()
	check(b, err)
	out, err := cmd.StderrPipe()
	check(b, err)
	check(b, cmd.Start())
	lines := bufio.NewReader(out)
	url, err = lines.ReadString('\n')
	check(b, err)
	return strings.TrimSpace(url), func() (counts largeCounts) {
		check(b, in.Close())
		text, err := io.ReadAll(lines)
		check(b, cmp.Or(err, cmd.Wait(), json.Unmarshal(text, &counts)))
		return counts
	}
}
