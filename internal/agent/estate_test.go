package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// estate is what the fake provider has: things by name, and parts of things.
type estate struct {
	mu     sync.Mutex
	things map[string]thing // guarded by mu
	parts  map[string]bool  // guarded by mu; by name of the thing: whether it is good
	denied bool             // guarded by mu: the list of things can not be read
	partly bool             // guarded by mu: its end can not
	hook   hook             // guarded by mu; in place of reading things, unless nil
}

type thing string

const (
	good   thing = "good"
	bad    thing = "bad"
	hidden thing = "hidden" // whether it is good can not be read
)

type hook func(ctx context.Context, in collectors.Input, emit collectors.Emit) error

func (e *estate) set(name string, t thing) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.things == nil {
		e.things = make(map[string]thing)
	}
	e.things[name] = t
}

func (e *estate) deny(denied, partly bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.denied, e.partly = denied, partly
}

func (e *estate) replace(h hook) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hook = h
}

// fake is a collector over an estate.
type fake struct {
	spec collectors.Spec
	read hook
}

func (f *fake) Spec() collectors.Spec { return f.spec }
func (f *fake) Collect(ctx context.Context, in collectors.Input, emit collectors.Emit) error {
	return f.read(ctx, in, emit)
}

func (e *estate) thingsCollector() collectors.Collector {
	return &fake{
		collectors.Spec{Name: "fake.things", Provider: "fake", Kinds: []string{"fake.thing"}, Reach: collectors.Global},
		func(ctx context.Context, in collectors.Input, emit collectors.Emit) error {
			e.mu.Lock()
			h, things, denied, partly := e.hook, maps.Clone(e.things), e.denied, e.partly
			e.mu.Unlock()
			emit.Principal("arn:fake:" + in.Scope.Account)
			if h != nil {
				return h(ctx, in, emit)
			}
			return emitThings(emit, things, denied, partly)
		},
	}
}

func emitThings(emit collectors.Emit, things map[string]thing, denied, partly bool) error {
	if denied || partly {
		emit.Gap(evidence.Gap{Kind: "fake.thing", Operation: "fake:ListThings", Permission: "fake:ListThings", Class: evidence.Denied, Code: "AccessDenied"})
	}
	if denied {
		return nil
	}
	for name, t := range things {
		body := fmt.Sprintf(`{"Name":%q,"Good":%t}`, name, t == good)
		if t == hidden {
			body = fmt.Sprintf(`{"Name":%q}`, name)
			emit.Gap(evidence.Gap{Kind: "fake.thing", Resource: name, Field: "Good", Operation: "fake:GetGood", Permission: "fake:GetGood", Class: evidence.Denied, Code: "AccessDenied"})
		}
		if err := emit.Observe(evidence.Observation{Kind: "fake.thing", ID: name, Body: json.RawMessage(body), Sources: []string{}}); err != nil {
			return err
		}
	}
	if !partly {
		emit.Listed("fake.thing", "")
	}
	return nil
}

func (e *estate) partsCollector() collectors.Collector {
	return &fake{
		collectors.Spec{Name: "fake.parts", Provider: "fake", Kinds: []string{"fake.part"}, Reach: collectors.Global},
		func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			for name, good := range e.parts {
				body := fmt.Sprintf(`{"Thing":%q,"Good":%t}`, name, good)
				if err := emit.Observe(evidence.Observation{Kind: "fake.part", ID: "part-of-" + name, Body: json.RawMessage(body), Sources: []string{}}); err != nil {
					return err
				}
			}
			emit.Listed("fake.part", "")
			return nil
		},
	}
}

const fakeControl = `id: fake-things
title: Things are good
criteria: [{id: CC6.1, why: "A test needs one."}]
why: a test
frequency: daily
severity: low
checks:
  - id: fake-thing-good
    title: The thing is good
    provider: fake
    kinds: [fake.thing]
    pass: resource.Good
    messages: {pass: it is good, fail: it is bad}
    remediation: make it good
    documentation: https://example.com/things
  - id: fake-thing-part
    title: The thing has a good part
    provider: fake
    kinds: [fake.thing]
    joins: [{name: part, kind: fake.part, field: Thing, equals: resource.Name}]
    pass: part != null && part.Good
    messages: {pass: its part is good, fail: it has no good part}
    remediation: give it a part
    documentation: https://example.com/things
`

func fakeCatalogue(t testing.TB) *checks.Catalogue {
	t.Helper()
	c, err := checks.Load(fstest.MapFS{"fake-things.yaml": {Data: []byte(fakeControl)}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
