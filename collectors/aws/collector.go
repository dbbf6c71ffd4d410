package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// collector is one collector of this catalogue: what it declares, and how it
// reads one region (any but a regional one reads once, in the home region).
type collector struct {
	estate *Estate
	spec   collectors.Spec
	// read reads one region. An error that it returns is a list that could
	// not be read to its end: it becomes a gap for the kinds that the failed
	// call lists.
	read func(ctx context.Context, r *reader) error
}

// Spec declares the shared calls too, so that policies and the denial matrix
// hold them.
func (c *collector) Spec() collectors.Spec {
	s := c.spec
	s.Provider = Provider
	s.Calls = append(slices.Clone(s.Calls), collectors.Call{Operation: "sts:GetCallerIdentity"})
	if s.Reach == collectors.Regional {
		s.Calls = append(s.Calls, collectors.Call{Operation: "ec2:DescribeRegions"})
	}
	return s
}

// Collect reads every region of the account.
func (c *collector) Collect(ctx context.Context, in collectors.Input, emit collectors.Emit) error {
	if _, known := c.estate.accounts[in.Scope.Account]; !known || in.Scope.Provider != Provider {
		return fmt.Errorf("scope %s is not in the configuration", in.Scope)
	}
	task := &task{spec: c.Spec(), account: in.Scope.Account, in: in, emit: emit, slots: make(chan struct{}, max(1, in.InFlight))}
	home := c.estate.config(in.Scope.Account, c.estate.home, in)

	caller, err := sts.NewFromConfig(home).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		// Without an identity there are no credentials, or none that work.
		return task.listFailed(ctx, "", "sts:GetCallerIdentity", err)
	}
	emit.Principal(aws.ToString(caller.Arn))
	if got := aws.ToString(caller.Account); got != in.Scope.Account {
		return task.listFailed(ctx, "", "sts:GetCallerIdentity",
			fmt.Errorf("the credentials for account %s open account %s: set the role of account %s in the configuration", in.Scope.Account, got, in.Scope.Account))
	}
	task.partition = partitionOf(aws.ToString(caller.Arn))
	identity := answerOf(caller)
	task.caller = identity.exchange

	if c.spec.Reach != collectors.Regional {
		return c.readRegion(ctx, task, home, "", true)
	}
	looked, leftOut, err := c.regions(ctx, task, home)
	if err != nil {
		return err
	}
	task.looked = looked
	emit.Regions(looked, leftOut)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, in.InFlight))
	for i, region := range looked {
		group.Go(func() error {
			return c.readRegion(ctx, task, c.estate.config(in.Scope.Account, region, in), region, i == 0)
		})
	}
	return group.Wait()
}

func (c *collector) readRegion(ctx context.Context, t *task, cfg aws.Config, region string, first bool) error {
	r := &reader{task: t, config: cfg, region: region, first: first, pathStyle: c.estate.pathStyle}
	err := r.safely(func() error { return c.read(ctx, r) })
	r.pending.Wait()
	if failed := r.failed(); failed != nil {
		err = failed
	}
	if err != nil {
		return t.listFailed(ctx, region, c.spec.Name, err)
	}
	return nil
}

// regions gives the regions to look at and the enabled ones that the
// configuration leaves out. A configured region that is not enabled in the
// account is a gap: the operator expected something there.
func (c *collector) regions(ctx context.Context, t *task, home aws.Config) (looked, leftOut []string, err error) {
	out, err := ec2.NewFromConfig(home).DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(false)})
	if err != nil {
		if gapErr := t.listFailed(ctx, "", "ec2:DescribeRegions", err); gapErr != nil {
			return nil, nil, gapErr
		}
		return c.estate.regions, nil, nil
	}
	var enabled []string
	for _, r := range out.Regions {
		enabled = append(enabled, aws.ToString(r.RegionName))
	}
	slices.Sort(enabled)
	if len(c.estate.regions) == 0 {
		return enabled, nil, nil
	}
	for _, r := range c.estate.regions {
		if slices.Contains(enabled, r) {
			looked = append(looked, r)
			continue
		}
		for _, kind := range c.spec.Kinds {
			t.emit.Gap(evidence.Gap{
				Kind: kind, Region: r, Operation: "ec2:DescribeRegions", Class: evidence.Disabled,
				Message: fmt.Sprintf("region %s is configured but not enabled in account %s", r, t.account),
			})
		}
	}
	for _, r := range enabled {
		if !slices.Contains(c.estate.regions, r) {
			leftOut = append(leftOut, r)
		}
	}
	return looked, leftOut, nil
}

// task is what the regions of one task share.
type task struct {
	spec      collectors.Spec
	account   string
	partition string
	caller    string   // the exchange that said which account this is
	looked    []string // the regions that are looked at, sorted; nil for a global collector
	in        collectors.Input
	emit      collectors.Emit
	slots     chan struct{} // one held by each resource whose detail is being read
}

// errRunner marks an error of the runner, such as a full disk: it ends the
// task and is never a gap.
type errRunner struct{ err error }

func (e errRunner) Error() string { return e.err.Error() }
func (e errRunner) Unwrap() error { return e.err }

// listFailed turns the failure of a call that lists, or on which everything
// rests, into gaps for the kinds concerned. The operation counts only when the
// error does not name one itself. It gives an error only when the task is over.
func (t *task) listFailed(ctx context.Context, region, operation string, err error) error {
	if runner, ok := errors.AsType[errRunner](err); ok {
		return runner.err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if failed := operationOf(err); failed != "" {
		operation = failed
	}
	kinds := t.spec.Kinds
	call, declared := t.spec.Call(operation)
	if declared && call.Kind != "" {
		kinds = []string{call.Kind}
	}
	class, code, message := failure(err)
	for _, kind := range kinds {
		t.emit.Gap(evidence.Gap{
			Kind: kind, Region: region, Operation: operation, Permission: permission(call, declared, operation),
			Class: class, Code: code, Message: message, Policy: refusedBy(message),
		})
	}
	return nil
}

// permission gives what a call needs. One that the collector does not declare
// is made on its way, such as assuming a role, and is named after its operation;
// what is no call of the provider's needs none.
func permission(call collectors.Call, declared bool, operation string) string {
	switch {
	case declared:
		return call.Needs()
	case strings.Contains(operation, ":"):
		return operation
	default:
		return ""
	}
}

// partitionOf gives "aws", "aws-us-gov" or "aws-cn" of an ARN.
func partitionOf(arn string) string {
	parts := splitARN(arn)
	if parts == nil {
		return "aws"
	}
	return parts[1]
}

// guard is a first error, kept by whichever goroutine meets it.
type guard struct {
	mu  sync.Mutex
	err error // guarded by mu
}

func (g *guard) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
}

func (g *guard) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
