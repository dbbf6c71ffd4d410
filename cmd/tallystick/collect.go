package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/telemetry"
)

func newCollect() *cobra.Command {
	var only struct{ collectors, accounts []string }
	var failOnFail bool
	cmd := &cobra.Command{
		Use:   "collect",
		Short: "Do every task once, now",
		Long: `Collect, seal and judge once, now. Tasks run by hand are evidence, but they do
not stand in for a slot of the schedule. The data directory must not be in use
by a daemon.

Exit code 3: something could not be read; the table says how much, and
"tallystick results --status unknown" says what and why.`,
		Args: noArguments,
	}
	path := configFlag(cmd)
	output := outputFlag(cmd)
	cmd.Flags().StringSliceVar(&only.collectors, "collector", nil, "only these collectors")
	cmd.Flags().StringSliceVar(&only.accounts, "account", nil, "only these accounts")
	cmd.Flags().BoolVar(&failOnFail, "fail-on-fail", false, "exit with 4 when a check fails in the accounts chosen")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		file, err := readConfig(*path)
		if err != nil {
			return err
		}
		if err := choices(file, only.collectors, only.accounts); err != nil {
			return err
		}
		log, err := telemetry.NewLogger(file.Config.Log.Format, quieter(file.Config.Log.Level), cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr()))
		if err != nil {
			return err
		}
		metrics, err := telemetry.New(prometheus.NewRegistry()) // nobody scrapes a command
		if err != nil {
			return err
		}
		options, err := wire(ctx, file, nil, evidence.EventManual, log, metrics)
		if err != nil {
			return err
		}
		pick := func(s evidence.Stream) bool {
			return (len(only.collectors) == 0 || slices.Contains(only.collectors, s.Collector)) &&
				(len(only.accounts) == 0 || slices.Contains(only.accounts, s.Account))
		}
		bar := newBar(cmd.ErrOrStderr(), "collecting", 0)
		options.OnTask = func(agent.Result) { bar.step() }
		once := &once{options: options, file: file, pick: pick, accounts: only.accounts, bar: bar}
		results, failure := once.collect(ctx)
		bar.stop()
		if failure != nil && len(results) == 0 {
			return failure
		}
		causes, err := causesOf(ctx, options.Dir, results)
		if err != nil {
			return errors.Join(failure, err)
		}
		if err := taskListing(results, causes).write(cmd.OutOrStdout(), *output); err != nil || failure != nil {
			return errors.Join(failure, err)
		}
		if failOnFail {
			state, err := agent.ReadState(ctx, options.Dir, nil)
			if err != nil {
				return err
			}
			for v, err := range state.Verdicts(payload.OpenRead(options.Dir)) {
				if err != nil {
					return err
				}
				if len(only.accounts) > 0 && !slices.Contains(only.accounts, v.Account) {
					continue
				}
				if err := failing(true, []evidence.Verdict{v}); err != nil {
					return err
				}
			}
		}
		return incomplete(results)
	}
	return cmd
}

// quieter hides the line that each task logs: the command prints a table.
func quieter(level string) string {
	if level == "info" {
		return "warn"
	}
	return level
}

// choices refuses collectors and accounts that are not there.
func choices(file *config.File, names, accounts []string) error {
	k := known()
	for _, name := range names {
		if !slices.Contains(k.Collectors, name) {
			return fmt.Errorf("--collector %q is not a collector; there are %v", name, k.Collectors)
		}
	}
	for _, account := range accounts {
		if file.Config.AWS.Organization.ManagementRole != "" {
			break // the organisation says which there are
		}
		named := slices.ContainsFunc(file.Config.AWS.Accounts, func(a config.Account) bool { return a.ID == account })
		if !named && !slices.Contains(gcpAccounts(file.Config.GCP), account) {
			return fmt.Errorf("--account %q is not in the configuration", account)
		}
	}
	return nil
}

// once does tasks once, now.
type once struct {
	options  agent.Options
	file     *config.File
	pick     func(evidence.Stream) bool
	accounts []string // asked for by name
	bar      *bar
}

// collect looks first at what says which accounts and projects there are, as often
// as that changes what is collected, and then at the rest.
func (o *once) collect(ctx context.Context) (results []agent.Result, err error) {
	a, err := agent.Open(ctx, o.options)
	if err != nil {
		return nil, err
	}
	reason := "done"
	defer func() {
		if a == nil {
			return // it could not be opened again
		}
		if err != nil {
			reason = err.Error()
		}
		if closeErr := a.Close(ctx, reason); err == nil {
			err = closeErr
		}
	}()
	seen := make(map[evidence.Stream]bool)
	collect := func(pick func(evidence.Stream) bool) error {
		some, err := a.Collect(ctx, func(s evidence.Stream) bool { return !seen[s] && pick(s) })
		for _, r := range some {
			seen[r.Stream] = true
		}
		results = append(results, some...)
		return err
	}
	first := func(s evidence.Stream) bool {
		switch s.Collector {
		case listingCollector, membershipCollector:
			return o.pick(s) || s.Collector == listingCollector && a.Newest(s) == nil
		case projectsCollector:
			return o.pick(s) || slices.ContainsFunc(a.Providers, func(p agent.Provider) bool {
				return p.Name == s.Provider && slices.Contains(p.Unlisted, s.Account)
			})
		}
		return false
	}
	for {
		before := len(results)
		if err := collect(first); err != nil {
			return results, err
		}
		if len(results) == before {
			break
		}
		providers, _, err := live(ctx, o.file, a)
		if err != nil {
			return results, err
		}
		same, err := sameEstate(a.Options, providers)
		if err != nil {
			return results, err
		}
		if same {
			break
		}
		if err := a.Close(ctx, listedAnew); err != nil {
			return results, err
		}
		if a, err = agent.Open(ctx, o.options); err != nil {
			return results, err
		}
	}
	if err := o.count(a, len(results)); err != nil {
		return results, err
	}
	err = collect(o.pick)
	slices.SortStableFunc(results, func(a, b agent.Result) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Collector, b.Collector))
	})
	return results, err
}

// count tells the bar how much there is to do, and refuses accounts that were
// asked for and are not there.
func (o *once) count(a *agent.Agent, done int) error {
	schedule := a.Schedule()
	for _, account := range o.accounts {
		if err := inScope(schedule, account); err != nil {
			return err
		}
	}
	total := 0
	for s := range schedule.Streams {
		if o.pick(s) {
			total++
		}
	}
	o.bar.set(uint64(done), uint64(total)) //nolint:gosec // counts of tasks
	return nil
}

// inScope says why an account is not collected, if so.
func inScope(s evidence.Schedule, account string) error {
	if slices.ContainsFunc(s.Scopes, func(s evidence.Scope) bool { return s.Account == account }) {
		return nil
	}
	for _, n := range s.NotCollected {
		switch {
		case n.Account != account:
		case n.Excluded && n.Provider == google:
			return fmt.Errorf("--account %q is no scope but a project of one, and is left out by gcp.include or gcp.exclude: %s (approved by %s)", account, n.Reason, n.Approver)
		case n.Excluded:
			return fmt.Errorf("--account %q is left out by aws.organization: %s (approved by %s)", account, n.Reason, n.Approver)
		default:
			return fmt.Errorf("--account %q can not be collected: the organisation lists it as %s", account, n.State)
		}
	}
	return fmt.Errorf("--account %q is not among the accounts that the organisation listed the last time; `tallystick collect --collector %s` lists them anew",
		account, listingCollector)
}

// incomplete gives exit code 3 when something was not read or not sealed.
func incomplete(results []agent.Result) error {
	for _, r := range results {
		if r.Err != nil {
			return exitError{exitGaps, fmt.Errorf("task %s was not sealed: %w", r.ID(), r.Err)}
		}
		if r.Unjudged != nil {
			return exitError{exitGaps, fmt.Errorf("task %s was sealed but not judged, its verdicts are those of before: %w", r.ID(), r.Unjudged)}
		}
		if r.Run.Outcome != evidence.Complete {
			return exitError{code: exitGaps}
		}
	}
	return nil
}

// taskJSON is the shape of a task in JSON.
type taskJSON struct {
	ID           string           `json:"id"`
	Collector    string           `json:"collector"`
	Provider     string           `json:"provider"`
	Account      string           `json:"account"`
	Outcome      evidence.Outcome `json:"outcome"`
	Observations int              `json:"observations"`
	Gaps         int              `json:"gaps"`
	Record       *uint64          `json:"record,omitempty"` // absent: not sealed
	Error        string           `json:"error,omitempty"`
	Causes       []cause          `json:"gap_causes,omitempty"`
}

func taskListing(results []agent.Result, causes map[uint64][]cause) listing {
	l := listing{header: []string{"collector", "account", "outcome", "observations", "gaps", "record", "took", "note"}}
	tasks := []taskJSON{}
	for _, r := range results {
		t := taskJSON{ID: r.ID(), Collector: r.Collector, Provider: r.Provider, Account: r.Account, Outcome: evidence.Failed}
		note, record := "", "-"
		switch {
		case r.Run == nil || r.Err != nil:
			t.Error, note = fmt.Sprint(r.Err), "not sealed: "+fmt.Sprint(r.Err)
		default:
			t.Outcome = r.Run.Outcome
			t.Observations, t.Gaps = agent.Totals(r.Run)
			t.Record, t.Causes = &r.Record, causes[r.Record]
			note = noteOf(r.Run, t.Causes)
			record = strconv.FormatUint(r.Record, 10)
		}
		tasks = append(tasks, t)
		l.rows = append(l.rows, []string{
			t.Collector, t.Account, string(t.Outcome), strconv.Itoa(t.Observations), strconv.Itoa(t.Gaps), record,
			fmt.Sprintf("%.1fs", r.Took.Seconds()), note,
		})
	}
	l.value = struct {
		Tasks []taskJSON `json:"tasks"`
	}{tasks}
	return l
}

// noteOf sums up in one line what a run could not read.
func noteOf(run *evidence.Run, causes []cause) string {
	if len(causes) == 0 {
		return run.Fault
	}
	s := causes[0].String()
	if more := len(causes) - 1; more > 0 {
		s += fmt.Sprintf(", and %d more", more)
	}
	return s
}

// bar shows progress on a terminal and nothing elsewhere.
type bar struct {
	writer  progress.Writer
	tracker *progress.Tracker
}

func newBar(w io.Writer, message string, total int) *bar {
	if !isTerminal(w) {
		return &bar{}
	}
	b := &bar{writer: progress.NewWriter(), tracker: &progress.Tracker{Message: message, Total: int64(total)}}
	b.writer.SetOutputWriter(w)
	b.writer.SetAutoStop(false)
	b.writer.Style().Visibility.ETA = true
	b.writer.AppendTracker(b.tracker)
	go b.writer.Render()
	return b
}

func (b *bar) step() {
	if b.tracker != nil {
		b.tracker.Increment(1)
	}
}

// set moves the bar to done of total.
func (b *bar) set(done, total uint64) {
	if b.tracker != nil {
		b.tracker.UpdateTotal(int64(total)) //nolint:gosec // a count of records
		b.tracker.SetValue(int64(done))     //nolint:gosec // as above
	}
}

func (b *bar) stop() {
	if b.writer != nil {
		b.tracker.MarkAsDone()
		b.writer.Stop()
	}
}
