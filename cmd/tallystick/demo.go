package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/telemetry"
	"github.com/tallystick/tallystick/internal/web"
)

// demoConfig is the configuration of the demo, kept in its ledger like any other.
const demoConfig = `# The configuration of tallystick demo.
organization: Example, Inc.
period: {start: 2026-07-01, end: 2026-12-31}
evidence: {dir: ./evidence, key: ./tallystick.key}
aws:
  accounts:
    - {id: "111122223333", role: arn:aws:iam::111122223333:role/TallystickReader}
    - {id: "444455556666", role: arn:aws:iam::444455556666:role/TallystickReader}
  regions: [eu-west-1, us-east-1]
limits:
  rate: {default: 0, account: 0, iam: 0, organizations: 0, s3: 0}
`

func newDemo() *cobra.Command {
	var dir, listen string
	var days int
	var serve bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the main job on an embedded estate: no account, no network",
		Long: `Run the real collectors, capture, ledger and checks on an embedded estate of
two AWS accounts and a Google Cloud organisation with its Workspace domain; only
the HTTP answers come from recordings. Time is simulated, every record says so,
and verify says that it is not evidence.`,
		Args: noArguments,
	}
	cmd.Flags().StringVar(&dir, "dir", "", "where to leave the data (default: a new folder tallystick-demo here)")
	cmd.Flags().IntVar(&days, "days", 1, "days of slots to run after the first look")
	cmd.Flags().BoolVar(&serve, "serve", false, "keep running afterwards, with /metrics up, until interrupted")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8480", "address for --serve")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if days < 1 || days > 3660 {
			return fmt.Errorf("--days %d: use 1 to 3660", days)
		}
		d := &demo{out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), days: days}
		if err := d.prepare(dir); err != nil {
			return err
		}
		if !serve {
			listen = ""
		}
		return d.run(cmd.Context(), listen)
	}
	return cmd
}

// demo is one run of the demo.
type demo struct {
	out, err io.Writer
	days     int

	dir    string // holds the configuration, the key and evidence/
	signer *seal.Signer

	mu       sync.Mutex
	drifted  []evidence.Verdict // guarded by mu
	tasks    int                // guarded by mu
	unsealed error              // guarded by mu
}

// prepare makes a folder with a configuration and a key, as init does.
func (d *demo) prepare(dir string) error {
	d.dir = dir
	if dir == "" {
		d.dir = "tallystick-demo"
		for n := 2; exists(d.dir); n++ {
			d.dir = fmt.Sprintf("tallystick-demo-%d", n)
		}
	} else if exists(filepath.Join(dir, "tallystick.key")) {
		return fmt.Errorf("%s holds a key already: choose another --dir", dir)
	}
	if err := os.MkdirAll(filepath.Join(d.dir, "evidence"), 0o750); err != nil {
		return fmt.Errorf("make the folder for the demo: %w", err)
	}
	skey, _, err := seal.NewKey("tallystick/demo")
	if err != nil {
		return err
	}
	keyPath := filepath.Join(d.dir, "tallystick.key")
	if err := seal.WriteKey(keyPath, skey); err != nil {
		return err
	}
	if err := os.WriteFile(d.configFile(), []byte(demoConfig), 0o644); err != nil { //nolint:gosec // it holds no secret
		return err
	}
	d.signer, err = seal.LoadKey(keyPath)
	return err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (d *demo) evidenceDir() string { return filepath.Join(d.dir, "evidence") }
func (d *demo) configFile() string  { return filepath.Join(d.dir, "tallystick.yaml") }

// run does the days, prints what came of them, and serves if listen is set.
func (d *demo) run(ctx context.Context, listen string) error {
	start := recordedAt().Add(2 * time.Minute) // just after the day's slot
	clock := agent.NewSimulatedClock(start)
	registry := prometheus.NewRegistry()
	options, err := d.wire(ctx, clock, registry)
	if err != nil {
		return err
	}
	schedule, streams := options.Schedule(), 0
	for range schedule.Streams {
		streams++
	}
	d.printf("tallystick demo: two AWS accounts, a Google Cloud organisation, %d collectors, simulated time from %s\n\n", len(schedule.Collectors), when(start))
	bar := newBar(d.err, "collecting", streams*(d.days+1))
	options.OnTask = func(r agent.Result) {
		d.note(r)
		bar.step()
	}
	a, err := agent.Open(ctx, options)
	if err != nil {
		return err
	}
	options.Metrics.BuildInfo(buildVersion(), buildRevision())
	err = a.RunUntil(ctx, start.Add(time.Duration(d.days)*24*time.Hour))
	bar.stop()
	if err == nil {
		err = d.tell(ctx)
	}
	if err == nil && listen != "" && ctx.Err() == nil {
		clock.Live()
		err = d.serve(ctx, a, listen, registry)
	}
	return errors.Join(err, a.Close(ctx, "the demo ended"))
}

func (d *demo) wire(ctx context.Context, clock agent.Clock, registry *prometheus.Registry) (agent.Options, error) {
	file, err := config.Load(d.configFile(), config.Known{})
	if err != nil {
		return agent.Options{}, err
	}
	metrics, err := telemetry.New(registry)
	if err != nil {
		return agent.Options{}, err
	}
	providers, err := recorded(ctx, file, clock)
	if err != nil {
		return agent.Options{}, err
	}
	options, err := wire(ctx, file, providers, evidence.EventStarted, zap.NewNop(), metrics)
	if err != nil {
		return agent.Options{}, err
	}
	options.Clock, options.Settle, options.Prompt = clock, true, true
	return options, nil
}

// note keeps what a task brought.
func (d *demo) note(r agent.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tasks++
	d.drifted = append(d.drifted, r.Drifted...)
	if r.Err != nil && d.unsealed == nil {
		d.unsealed = fmt.Errorf("task %s was not sealed: %w", r.ID(), r.Err)
	}
}

// tell prints the verdicts, the drift, the gap, and what to try next.
func (d *demo) tell(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unsealed != nil {
		return d.unsealed
	}
	state, err := agent.ReadState(ctx, d.evidenceDir(), nil)
	if err != nil {
		return err
	}
	var verdicts []evidence.Verdict
	var gaps []evidence.Verdict
	for v, err := range state.Verdicts(payload.OpenRead(d.evidenceDir())) {
		if err != nil {
			return err
		}
		verdicts = append(verdicts, v)
		if v.Status == evidence.Unknown && slices.ContainsFunc(v.Gaps, func(g evidence.Gap) bool { return g.Class == evidence.Denied }) {
			gaps = append(gaps, v)
		}
	}
	if err := printVerdicts(d.out, asTable, verdicts, false); err != nil {
		return err
	}
	d.printf("\nWhat happened while it ran:\n")
	for _, change := range demoChanges() {
		d.printf("  day 2: %s\n", change.what)
	}
	for _, v := range d.drifted {
		d.printf("\nDrift: %s went from pass to fail\n  on %s in account %s: %s\n", v.Check, where(v), v.Account, v.Reason)
	}
	for _, v := range gaps {
		d.printf("\nGap:   %s is unknown, neither pass nor fail,\n  on %s in account %s: %s\n", v.Check, where(v), v.Account, v.Reason)
	}
	me := "tallystick"
	if strings.Contains(os.Args[0], "go-build") {
		me = "go run ./cmd/tallystick"
	}
	d.printf(`
%d tasks, %d records in %s, all made under a simulated clock: they are not evidence.

Next, try:
  %s verify %s --key '%s'
  %s results --dir %s
  %s status --dir %s
  %s export -c %s --out bundle    and open bundle/index.html, as an auditor would
`, d.tasks, state.Records, d.evidenceDir(), me, d.evidenceDir(), d.signer.VerifierKey(), me, d.evidenceDir(), me, d.evidenceDir(),
		me, d.configFile())
	return nil
}

// serve goes on in real time with /metrics up until ctx ends.
func (d *demo) serve(ctx context.Context, a *agent.Agent, listen string, registry *prometheus.Registry) error {
	listener, err := web.Listen(listen)
	if err != nil {
		return err
	}
	log, err := telemetry.NewLogger(telemetry.LogAuto, "warn", d.err, isTerminal(d.err))
	if err != nil {
		return err
	}
	d.printf("\nServing http://%s/metrics until interrupted.\n", listener.Addr())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		defer stop()
		served <- (&web.Server{Metrics: registry, Ready: func() error { return nil }, Log: log}).Run(ctx, listener)
	}()
	err = a.Run(ctx)
	stop()
	return errors.Join(err, <-served)
}

// printf writes for people. A terminal that is gone is no reason to stop.
func (d *demo) printf(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }
