package agent

import (
	"slices"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

func TestLongestFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: second(0)})
	b.options.Event = evidence.EventManual
	detail := collectors.Call{Operation: "fake:Detail", Kind: "fake.thing", Field: "Good"}
	for name, details := range map[string]int{"fake.a_none": 0, "fake.b_one": 1, "fake.c_two": 2} {
		spec := collectors.Spec{
			Name: name, Provider: "fake", Kinds: []string{"fake.thing"}, Reach: collectors.Global,
			Calls: append([]collectors.Call{{Operation: "fake:List", Kind: "fake.thing"}}, slices.Repeat([]collectors.Call{detail}, details)...),
		}
		b.options.Providers[0].Collectors = append(b.options.Providers[0].Collectors, &fake{spec: spec})
	}
	a := b.open()
	order := func() (names []string) {
		for _, s := range a.longestFirst() {
			names = append(names, s.Collector)
		}
		return names
	}
	if got, want := order(), []string{"fake.c_two", "fake.b_one", "fake.things", "fake.a_none"}; !slices.Equal(got, want) {
		t.Errorf("nothing ran yet: got %v, want %v", got, want)
	}
	for name, calls := range map[string]int{"fake.c_two": 7, "fake.a_none": 900, "fake.things": 30} {
		ran := &RunState{Run: evidence.Run{Calls: []evidence.CallCount{{Operation: "fake:List", Calls: 1}, {Operation: "fake:Detail", Calls: calls}}}}
		a.state.stream(evidence.Stream{Collector: name, Scope: evidence.Scope{Provider: "fake", Account: account}}).Newest = ran
	}
	if got, want := order(), []string{"fake.b_one", "fake.a_none", "fake.things", "fake.c_two"}; !slices.Equal(got, want) {
		t.Errorf("most ran: got %v, want %v", got, want)
	}
	b.close(a)
}
