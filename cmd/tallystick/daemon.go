package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/follow"
	"github.com/tallystick/tallystick/internal/telemetry"
	"github.com/tallystick/tallystick/internal/web"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon: collect on schedule until told to stop",
		Long: `Collect on schedule, seal, judge, and serve /metrics, /healthz and /readyz.

SIGTERM stops in good order. SIGHUP loads the configuration anew; a file that
can not take force leaves the old configuration running, and
tallystick_config_reload_success drops to 0. The data directory, the key and
the listener stay what they are until the next start.`,
		Args: noArguments,
	}
	path := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		file, err := readConfig(*path)
		if err != nil {
			return err
		}
		log, err := telemetry.NewLogger(file.Config.Log.Format, file.Config.Log.Level, cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr()))
		if err != nil {
			return err
		}
		d := &daemon{path: *path, log: log, registry: prometheus.NewRegistry()}
		if d.metrics, err = telemetry.New(d.registry); err != nil {
			return err
		}
		return d.run(cmd.Context(), file)
	}
	return cmd
}

// daemon runs one agent after another: a new one for each configuration.
type daemon struct {
	path     string
	log      *zap.Logger
	registry *prometheus.Registry
	metrics  *telemetry.Metrics // of all agents: a reload must not take a step of a counter away
	told     atomic.Bool        // the first agent has its series back
	ready    atomic.Bool
	follower atomic.Pointer[follow.Follower] // of the agent at work
}

// ServeHTTP answers with the report of the period.
func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := d.follower.Load()
	if f == nil {
		http.Error(w, "there is no report yet: the state is being rebuilt from the ledger", http.StatusServiceUnavailable)
		return
	}
	f.ServeHTTP(w, r)
}

// Gather gives the metrics, and nothing until every series of before is back.
func (d *daemon) Gather() (families []*dto.MetricFamily, err error) {
	if !d.told.Load() {
		return nil, nil
	}
	return d.registry.Gather()
}

func (d *daemon) isReady() error {
	if !d.ready.Load() {
		return errors.New("the state is being rebuilt from the ledger")
	}
	return nil
}

func (d *daemon) run(ctx context.Context, file *config.File) error {
	listener, err := web.Listen(file.Config.HTTP.Listen)
	if err != nil {
		return err
	}
	serve, stop := context.WithCancel(context.WithoutCancel(ctx))
	server := &web.Server{Metrics: d, Ready: d.isReady, Report: d, Log: d.log}
	served := make(chan error, 1)
	go func() { served <- server.Run(serve, listener) }()

	reloads := make(chan os.Signal, 1)
	signal.Notify(reloads, syscall.SIGHUP)
	defer signal.Stop(reloads)
	err = d.agents(ctx, file, reloads, served)
	stop()
	if serveErr := <-served; err == nil {
		err = serveErr
	}
	return err
}

// prepared is a configuration of which nothing is left that could be refused.
type prepared struct {
	file    *config.File
	options agent.Options
	listed  chan struct{} // has an element when the organisation was listed anew
}

func (d *daemon) prepare(ctx context.Context, file *config.File, event string) (*prepared, error) {
	options, err := wire(ctx, file, nil, event, d.log, d.metrics)
	if err != nil {
		return nil, err
	}
	listed := make(chan struct{}, 1)
	options.OnTask = func(r agent.Result) {
		if changes(r) {
			select {
			case listed <- struct{}{}:
			default: // it will look at what is newest then
			}
		}
	}
	return &prepared{file: file, options: options, listed: listed}, nil
}

// reload gives the configuration that is to take the place of present. What
// only a new process can change must not have changed.
func (d *daemon) reload(ctx context.Context, a *agent.Agent, present *prepared) (*prepared, error) {
	file, err := readConfig(d.path)
	if err != nil {
		return nil, err
	}
	next, err := d.prepare(ctx, file, evidence.EventReloaded)
	if err != nil {
		return nil, err
	}
	for _, fixed := range []struct {
		key     string
		changed bool
	}{
		{"http.listen", file.Config.HTTP.Listen != present.file.Config.HTTP.Listen},
		{"evidence.dir", file.Config.Evidence.Dir != present.file.Config.Evidence.Dir},
		{"evidence.key", next.options.Signer.VerifierKey() != present.options.Signer.VerifierKey()},
	} {
		if fixed.changed {
			return nil, file.Problem(fixed.key, "can not change while the daemon runs: restart it")
		}
	}
	// The accounts are derived again when the next agent begins, which must not
	// be the moment to find out that they can not be.
	if _, _, err := live(ctx, file, a); err != nil {
		return nil, err
	}
	return next, nil
}

// discover compares what is collected with what the newest listing says, and
// gives what is to take the place of present when they differ: the same in all
// but what is collected, whatever is in the operator's files by now. A listing that
// can not be understood changes nothing.
func (d *daemon) discover(ctx context.Context, a *agent.Agent, present *prepared) *prepared {
	providers, _, err := live(ctx, present.file, a)
	same := true
	if err == nil {
		same, err = sameEstate(a.Options, providers)
	}
	if err != nil {
		d.log.Error("what is collected stays what it is", zap.Error(err))
		return nil
	}
	if same {
		return nil
	}
	next := *present
	next.options.Event = evidence.EventDiscovered
	scopes, left := 0, 0
	for _, p := range providers {
		scopes, left = scopes+len(p.Accounts), left+len(p.NotCollected)
	}
	d.log.Info("the organisation's own listing changes what is collected; that takes force when no task runs",
		zap.Int("scopes", scopes), zap.Int("not_collected", left))
	return &next
}

// agents runs an agent until ctx ends, and a new one for each reload.
func (d *daemon) agents(ctx context.Context, file *config.File, reloads <-chan os.Signal, served chan error) error {
	present, err := d.prepare(ctx, file, evidence.EventStarted)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(present.options.Dir, 0o750); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	var before *agent.Options
	for present != nil {
		o := present.options
		a, err := agent.Open(ctx, o)
		if err != nil {
			return err
		}
		if before != nil {
			d.forget(*before, a.Options)
		}
		before = &a.Options
		o.Metrics.BuildInfo(buildVersion(), buildRevision())
		o.Metrics.ConfigReload(true)
		d.told.Store(true)
		d.ready.Store(true)
		d.log.Info("agent started", zap.String("dir", o.Dir), zap.String("version", o.Program.Version),
			zap.String("verifier_key", o.Signer.VerifierKey()), zap.String("configuration", string(present.file.Digest)))

		unfollow, err := d.follow(ctx, present, a.Schedule())
		if err != nil {
			return errors.Join(err, a.Close(ctx, "the period could not be followed"))
		}
		next, reason, err := d.runAgent(ctx, a, present, reloads, served)
		d.ready.Store(false)
		err = errors.Join(err, unfollow())
		if closeErr := a.Close(ctx, reason); err == nil {
			err = closeErr
		}
		d.log.Info("agent stopped", zap.String("reason", reason))
		if err != nil {
			return err
		}
		present = next
	}
	return nil
}

// follow keeps the report of the period up to date beside the agent, until the
// function that it gives is called.
func (d *daemon) follow(ctx context.Context, present *prepared, inForce evidence.Schedule) (func() error, error) {
	c, o := present.file.Config, present.options
	from, to := c.PeriodBounds()
	window := period.Window{From: from, To: to, Zone: c.Location()}
	f, err := follow.New(o.Dir, window, inForce, o.Clock.Now, d.metrics, d.log)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	d.follower.Store(f)
	return func() error {
		stop()
		running.Wait()
		d.follower.CompareAndSwap(f, nil)
		return f.Close()
	}, nil
}

// forget removes the series of what the next configuration does not have.
func (d *daemon) forget(before, next agent.Options) {
	streams, scopes := make(map[evidence.Stream]bool), make(map[evidence.Scope]bool)
	for stream := range next.Schedule().Streams {
		streams[stream], scopes[stream.Scope] = true, true
	}
	for stream := range before.Schedule().Streams {
		if !streams[stream] {
			d.metrics.ForgetStream(stream)
		}
		if !scopes[stream.Scope] {
			d.metrics.ForgetScope(stream.Scope)
		}
	}
	for _, check := range before.Catalogue.Checks() {
		if _, _, known := next.Catalogue.Check(check.ID); !known {
			d.metrics.ForgetCheck(check.ID)
		}
	}
}

// runAgent runs one agent until ctx ends, it fails, or another configuration
// takes its place, which it then gives.
func (d *daemon) runAgent(ctx context.Context, a *agent.Agent, present *prepared, reloads <-chan os.Signal, served chan error) (*prepared, string, error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	var relief *prepared // takes over when nothing is under way
	for {
		select {
		case err := <-ended:
			reason := "the agent could not go on"
			if cause := context.Cause(ctx); cause != nil {
				reason = cause.Error() // names the signal
			} else if err == nil && relief != nil {
				relief.options.Since = a.Relieved()
				return relief, listedAnew, nil
			}
			return nil, reason, err
		case <-present.listed:
			if next := d.discover(ctx, a, present); next != nil {
				relief = next
				a.Relieve()
			}
		case err := <-served:
			stop()
			served <- err // for the end of run
			return nil, "the HTTP listener failed", errors.Join(err, <-ended)
		case <-reloads:
			next, err := d.reload(ctx, a, present)
			if err != nil {
				d.metrics.ConfigReload(false)
				d.log.Error("configuration not reloaded; the old one stays in force", zap.Error(err))
				continue
			}
			stop()
			return next, "configuration reloaded", <-ended
		}
	}
}
