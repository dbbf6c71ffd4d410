// Package agent is the long-running program: schedule → task → seal → judge.
//
// It promises that every slot that the schedule in force makes due ends as one
// sealed record, either of a task or of the fact that it was missed and why;
// that success is told (by metrics, by results) only after the ledger's
// published checkpoint covers the record; and that a restart rebuilds
// everything from the ledger. It knows no provider and no rule: collectors and
// the catalogue are handed to it.
//
// Nothing here repairs evidence. When it is not known whether a record is in
// the ledger, the agent ends with an error; the next start looks, and tells
// the gap. When a record is known not to be there (a full disk), the agent
// goes on, and the slots that were lost are recorded once that works again.
//
// # Locks
//
// They are taken in this order: the scope's in judging, stream.records, seals,
// then Agent.mu or stream.mu, which are held only for a moment and never over
// I/O. Run owns the loop; each task, and each record beside the loop, is a
// goroutine in Agent.tasks, which Run waits for.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/durable"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// Provider is one cloud as the agent sees it.
type Provider struct {
	Name       string
	Collectors []collectors.Collector
	Accounts   []string
	// Central are those of the accounts that answer for their organisation:
	// joins in the organisation look there. Listing are those of them in which
	// collectors of that reach run. Both may be empty.
	Central, Listing []string
	// NotCollected are the accounts that the organisation lists and that are
	// not looked at, and why; or the projects of the accounts that are not.
	NotCollected []evidence.NotCollected
	// Unlisted are those of the accounts of which it is not known yet which of
	// their projects are left out. Only the collector Lists, which says which there
	// are, is due in them: nothing is judged that may be left out.
	Unlisted  []string
	Lists     string
	Regions   []string          // that the operator chose; empty: every enabled one
	Transport http.RoundTripper // what every call goes through in the end
	Describe  func(*http.Request) capture.Labels
	// OneQuota says that the provider counts all calls together, whatever account
	// they are about, as Google Cloud does in the quota project.
	OneQuota bool
	// Throttled says whether an answer is a refusal for there being too many
	// calls, and how long it asks to wait, 0 when it does not say. Nil: none is.
	Throttled func(*http.Response) (throttled bool, after time.Duration)
}

// Options are what an agent is made of. Every field is required unless it says
// otherwise.
type Options struct {
	Dir       string     // the data directory
	Files     durable.FS // how payloads are written; nil: durable.Disk
	Signer    *seal.Signer
	Providers []Provider
	Catalogue *checks.Catalogue

	Organization string
	PeriodStart  string // YYYY-MM-DD
	PeriodEnd    string // YYYY-MM-DD
	// RemediationDays is how long a deviation may last, by severity; see
	// evidence.Configuration.
	RemediationDays map[string]int
	Configuration   []byte // the file as written
	Event           string // one of the evidence.Event...
	// Estate, when set, gives the providers from what the ledger says, in the
	// place of Providers and Discoveries: which accounts an organisation has
	// follows from its own listing, which is evidence. Open calls it once.
	Estate func(context.Context, Known) ([]Provider, []evidence.Discovery, error)
	// Discoveries say which listings the accounts were taken from.
	Discoveries []evidence.Discovery
	// Since is the moment up to which the agent before this one, in the same
	// process, had a record of each slot; zero for none. This one goes on from
	// there. After more than sinceMost it counts as the end of an outage.
	Since time.Time
	// ScheduleFor gives the cron expression of a collector; empty: it is not run.
	ScheduleFor func(collector string) string
	Zone        *time.Location // in which schedules are meant

	Limits  Limits
	Clock   Clock
	Program evidence.Agent
	Log     *zap.Logger
	Metrics *telemetry.Metrics

	// RedactionKey salts the hashes that redactions leave behind.
	RedactionKey []byte
	// OnTask, when set, hears of each task that ended, one at a time.
	OnTask func(Result)
	// Prompt starts tasks at their slot, not up to five minutes later as is
	// kind to a provider that is really there.
	Prompt bool
	// Settle lets all tasks end before time goes on. A simulated clock needs it.
	Settle bool
}

// Agent holds a data directory and does its tasks. Close must be called.
type Agent struct {
	Options
	ledger  *ledger.Ledger
	add     func(context.Context, []byte) (wait func(context.Context) (uint64, error), err error) // the ledger's
	store   *payload.Store
	held    map[string]os.FileInfo // the directories that are ours, as Open found them
	limiter *limiter
	streams []*stream        // in order of the schedule; fixed after Open
	anew    []evidence.Scope // to be judged again; owned by Run and Collect

	scheduleDigest  evidence.Digest
	catalogueDigest evidence.Digest
	inForce         evidence.Schedule       // fixed after Open
	central         map[evidence.Scope]bool // those that answer for an organisation; fixed after Open

	seals sync.Mutex  // held from the time of a record to its place in the queue
	told  sync.Mutex  // held while OnTask runs
	owing atomic.Bool // some stream owes a record that could not be written

	relieved atomic.Bool // Run is to end as soon as nothing is under way
	ended    time.Time   // when it did so; owned by Run

	mu      sync.Mutex
	state   *State                                      // guarded by mu
	passing map[judged]passing                          // guarded by mu; the values belong to who holds the scope's judging
	lacking map[evidence.Stream]map[evidence.Scope]bool // guarded by mu; see lack
	judging map[evidence.Scope]*sync.Mutex              // guarded by mu; held while a scope is assessed
	fatal   error                                       // guarded by mu; the ledger can not be trusted to take another record
	stop    context.CancelCauseFunc                     // guarded by mu
	tasks   sync.WaitGroup
	slots   chan struct{} // one held by each running task
	door    *door         // nil when there is none; fixed after Open
}

// lockPatience bridges the moment in which a command that appends one record
// holds the directory.
const lockPatience = 2 * time.Second

// maxTasks bounds how many tasks run at a time, and with it the memory for
// their buffers. API calls are bounded by Limits.InFlight on top of it.
const maxTasks = 8

// Open takes the data directory, rebuilds the state, records the slots that
// were missed since, and records that this configuration took force.
func Open(ctx context.Context, o Options) (_ *Agent, err error) {
	a := &Agent{
		Options: o,
		limiter: newLimiter(o.Limits, o.Metrics, o.Log),
		passing: make(map[judged]passing),
		lacking: make(map[evidence.Stream]map[evidence.Scope]bool),
		judging: make(map[evidence.Scope]*sync.Mutex),
		slots:   make(chan struct{}, maxTasks),
	}
	if a.ledger, err = ledger.Open(ctx, o.Dir, o.Signer, ledger.Options{Patience: publishPatience, LockPatience: lockPatience}); err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			err = fmt.Errorf("%w: the agent must be able to write to the data directory and to everything in it", err)
		}
		return nil, err
	}
	a.add = a.ledger.Add
	defer func() {
		if err != nil {
			err = errors.Join(err, a.ledger.Close(context.WithoutCancel(ctx)))
		}
	}()
	if a.Files == nil {
		a.Files = durable.Disk{}
	}
	if a.store, err = payload.OpenFS(o.Dir, a.Files); err != nil {
		return nil, err
	}
	if err := a.sweep(); err != nil {
		return nil, err
	}
	if err := a.hold(); err != nil {
		return nil, err
	}
	vkey, err := seal.NewVerifier(o.Signer.VerifierKey())
	if err != nil {
		return nil, err
	}
	if a.state, err = ReadState(ctx, o.Dir, vkey); err != nil {
		return nil, fmt.Errorf("rebuild state from the ledger: %w", err)
	}
	if a.Estate != nil {
		if a.Providers, a.Discoveries, err = a.Estate(ctx, a); err != nil {
			return nil, fmt.Errorf("say which accounts there are: %w", err)
		}
	}
	if err := a.configure(ctx); err != nil {
		return nil, err
	}
	if err := a.restoreMetrics(ctx); err != nil {
		return nil, fmt.Errorf("restore the newest verdicts: %w", err)
	}
	a.declareServices()
	a.openDoor(ctx)
	return a, nil
}

// Schedule gives the schedule that the options put in force.
func (o *Options) Schedule() evidence.Schedule {
	s := evidence.Schedule{TimeZone: o.Zone.String(), Collectors: []evidence.CollectorSchedule{}, Scopes: []evidence.Scope{}}
	for _, p := range o.Providers {
		for _, c := range p.Collectors {
			spec := c.Spec()
			expr := o.ScheduleFor(spec.Name)
			accounts, all := p.due(spec)
			if expr == "" || len(accounts) == 0 && !all {
				continue
			}
			s.Collectors = append(s.Collectors, evidence.CollectorSchedule{
				Provider: p.Name, Collector: spec.Name, Schedule: expr, Kinds: slices.Sorted(slices.Values(spec.Kinds)), Accounts: accounts,
			})
		}
		for _, account := range p.Accounts {
			s.Scopes = append(s.Scopes, evidence.Scope{Provider: p.Name, Account: account})
		}
		for _, account := range slices.Sorted(slices.Values(p.Central)) {
			s.Central = append(s.Central, evidence.Scope{Provider: p.Name, Account: account})
		}
		s.NotCollected = append(s.NotCollected, p.NotCollected...)
		if len(p.Regions) > 0 {
			if s.Regions == nil {
				s.Regions = make(map[string][]string)
			}
			s.Regions[p.Name] = slices.Sorted(slices.Values(p.Regions))
		}
	}
	return s
}

// due gives the only accounts in which a collector is due, sorted, or says that it
// is in all.
func (p *Provider) due(spec collectors.Spec) (only []string, all bool) {
	in := p.Accounts
	if spec.Reach == collectors.Organization {
		in = p.Listing
	}
	waits := len(p.Unlisted) > 0 && spec.Name != p.Lists
	if spec.Reach != collectors.Organization && !waits {
		return nil, true
	}
	for _, account := range in {
		if !waits || !slices.Contains(p.Unlisted, account) {
			only = append(only, account)
		}
	}
	slices.Sort(only)
	return only, false
}

// sinceMost bounds how far back a schedule takes force: a reader may take a
// record that is a minute older than those before it for one that was put in.
const sinceMost = 30 * time.Second

// configure makes the streams, records what was missed under the schedule that
// was in force until now, and then the new configuration.
func (a *Agent) configure(ctx context.Context) error {
	now := a.Clock.Now()
	if since := a.Since; !since.IsZero() && since.Before(now) && now.Sub(since) <= sinceMost {
		now = since
	}
	inForce := a.Schedule()
	a.inForce, a.central = inForce, make(map[evidence.Scope]bool, len(inForce.Central))
	for _, scope := range inForce.Central {
		a.central[scope] = true
	}
	if err := a.makeStreams(inForce, now); err != nil {
		return err
	}
	if a.Event != evidence.EventManual {
		if err := a.recordMissed(ctx, now); err != nil {
			return fmt.Errorf("record missed slots: %w", err)
		}
		a.chooseFirst()
	}
	a.restoreLacking()
	if err := a.chooseAnew(); err != nil {
		return err
	}
	raw, err := json.Marshal(inForce)
	if err != nil {
		return fmt.Errorf("encode schedule: %w", err)
	}
	subjects := make([]evidence.Subject, 0, 3)
	for _, p := range []struct {
		name string
		data []byte
	}{
		{evidence.PayloadConfiguration, a.Configuration},
		{evidence.PayloadSchedule, raw},
		{evidence.PayloadCatalogue, a.Catalogue.JSON()},
	} {
		digest, err := a.store.Put(p.data)
		if err != nil {
			return fmt.Errorf("write %s: %w", p.name, err)
		}
		subjects = append(subjects, evidence.SubjectOf(p.name, digest))
	}
	a.scheduleDigest = evidence.Digest(subjects[1].Digest["sha256"])
	a.catalogueDigest = evidence.Digest(subjects[2].Digest["sha256"])
	a.mu.Lock()
	sequence := a.state.Configurations + 1
	a.mu.Unlock()
	_, err = a.seal(ctx, evidence.TypeConfiguration, &evidence.Configuration{
		// In force from the very moment up to which the schedule before it
		// was accounted for.
		Header:          evidence.Header{At: now},
		Sequence:        sequence,
		Event:           a.Event,
		Ledger:          a.Signer.Name(),
		Organization:    a.Organization,
		PeriodStart:     a.PeriodStart,
		PeriodEnd:       a.PeriodEnd,
		RemediationDays: a.RemediationDays,
		Discoveries:     a.Discoveries,
	}, subjects)
	return err
}

// brokenTimeout bounds how long Close waits for a ledger that failed.
const brokenTimeout = 2 * time.Second

// Close records that the agent ended in good order and lets go of the data
// directory. Run and Collect must have returned. After an error for which the
// agent could not go on there is nothing to record, and another error may only
// say that the directory stays locked until the process ends.
func (a *Agent) Close(ctx context.Context, reason string) error {
	err := a.door.close(ctx)
	timeout := sealTimeout
	if a.failed() == nil {
		_, stopErr := a.seal(ctx, evidence.TypeStop, &evidence.Stop{Reason: reason},
			[]evidence.Subject{evidence.SubjectOf(evidence.PayloadSchedule, a.scheduleDigest)})
		err = errors.Join(err, stopErr)
	} else {
		timeout = brokenTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	return errors.Join(err, a.ledger.Close(ctx))
}
