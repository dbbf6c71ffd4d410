package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/schedule"
	"github.com/tallystick/tallystick/internal/agent"
)

// streamStatus is one stream as `status` shows it.
type streamStatus struct {
	Collector string           `json:"collector"`
	Provider  string           `json:"provider"`
	Account   string           `json:"account"`
	Schedule  string           `json:"schedule"` // empty: not in the schedule in force
	Outcome   evidence.Outcome `json:"outcome,omitempty"`
	Finished  *time.Time       `json:"finished,omitempty"` // of the newest run
	NextSlot  *time.Time       `json:"next_slot,omitempty"`
	Gaps      int              `json:"gaps"`    // of the newest run
	Missed    int              `json:"missed"`  // slots, over the whole ledger
	Overdue   int              `json:"overdue"` // slots due by now that no record covers yet
}

type statusJSON struct {
	Dir          string         `json:"dir"`
	Organization string         `json:"organization"`
	Records      uint64         `json:"records"`
	Last         time.Time      `json:"last_record"`
	Holder       string         `json:"holder,omitempty"` // who holds the data directory now
	Stopped      *time.Time     `json:"stopped,omitempty"`
	Simulated    bool           `json:"simulated"`
	TimeZone     string         `json:"time_zone,omitempty"`
	Streams      []streamStatus `json:"streams"`
	Period       *periodStatus  `json:"period,omitempty"` // nil before it begins
}

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what was collected when, what is due, and what was missed",
		Args:  noArguments,
	}
	dir := dirFlags(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		state, store, path, err := dir.open(cmd.Context())
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		if state.Simulated {
			now = state.Alive // the machine's time says nothing about simulated slots
		}
		s := statusJSON{
			Dir: path, Organization: state.Organization, Records: state.Records, Last: state.Last,
			Stopped: state.Stopped, Simulated: state.Simulated, Streams: []streamStatus{},
		}
		holder, held, err := ledger.HolderOf(path)
		if err != nil {
			return err
		}
		if held {
			s.Holder = holder.String()
		}
		if s.Streams, err = streams(state, now); err != nil {
			return err
		}
		if state.InForce != nil {
			s.TimeZone = state.InForce.Schedule.TimeZone
		}
		progress := newBar(cmd.ErrOrStderr(), "reading the period", 0)
		s.Period, err = periodOf(cmd.Context(), path, state, store, now, progress.set)
		progress.stop()
		if err != nil {
			return err
		}
		l := listing{header: []string{"collector", "account", "outcome", "newest", "next slot", "gaps", "missed", "overdue", "schedule"}, value: s}
		for _, st := range s.Streams {
			l.rows = append(l.rows, []string{
				st.Collector, st.Account, cmp.Or(string(st.Outcome), "-"), when(deref(st.Finished)), when(deref(st.NextSlot)),
				strconv.Itoa(st.Gaps), strconv.Itoa(st.Missed), strconv.Itoa(st.Overdue), cmp.Or(st.Schedule, "-"),
			})
		}
		if *output == asTable {
			if err := printHead(cmd.OutOrStdout(), s); err != nil {
				return err
			}
		}
		if err := l.write(cmd.OutOrStdout(), *output); err != nil {
			return err
		}
		if *output == asTable && s.Period != nil {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", s.Period); err != nil {
				return err
			}
		}
		if *output == asTable && state.Simulated {
			warnSimulated(cmd.ErrOrStderr())
		}
		return nil
	}
	return cmd
}

func deref(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func printHead(w io.Writer, s statusJSON) error {
	agentLine := "no agent holds the directory"
	switch {
	case s.Holder != "":
		agentLine = "held by " + s.Holder
	case s.Stopped != nil:
		agentLine = "stopped in good order at " + when(*s.Stopped)
	}
	_, err := fmt.Fprintf(w, "%s: %d records, the newest of %s\nagent: %s\n\n", s.Dir, s.Records, when(s.Last), agentLine)
	return err
}

// streams gives the streams of the schedule in force and those that were in
// one before, by account and collector.
func streams(state *agent.State, now time.Time) ([]streamStatus, error) {
	zone, expressions := time.UTC, map[evidence.Stream]string{}
	if f := state.InForce; f != nil {
		var err error
		if zone, err = time.LoadLocation(f.Schedule.TimeZone); err != nil {
			return nil, err
		}
		maps.Insert(expressions, f.Schedule.Streams)
	}
	keys := map[evidence.Stream]bool{}
	for key := range expressions {
		keys[key] = true
	}
	for key := range state.Streams {
		keys[key] = true
	}
	var out []streamStatus
	for key := range keys {
		st := streamStatus{Collector: key.Collector, Provider: key.Provider, Account: key.Account, Schedule: expressions[key]}
		covered := time.Time{}
		if known, ok := state.Streams[key]; ok {
			st.Missed, covered = known.Missed, known.Covered
			if run := known.Newest; run != nil {
				st.Outcome, st.Finished = run.Outcome, &run.Finished
				_, st.Gaps = agent.Totals(&run.Run)
			}
		}
		if st.Schedule != "" {
			sched, err := schedule.Parse(st.Schedule, zone)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("schedule of %s in the ledger", key), err)
			}
			next := sched.Next(now)
			st.NextSlot = &next
			if covered.Before(state.InForce.Since) {
				covered = state.InForce.Since
			}
			for range sched.Between(covered, now) {
				st.Overdue++
			}
		}
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b streamStatus) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Collector, b.Collector))
	})
	return out, nil
}
