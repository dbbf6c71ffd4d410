package aws_test

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
)

// onePage are the calls that could be answered in pages and never are, with
// the reason.
func onePage() map[string]string {
	return map[string]string{
		"organizations:ListRoots": "an organisation has one root (AWS Organizations user guide, quotas)",
	}
}

// inputs are the inputs of the calls that one collector makes over the
// recordings, by operation.
type inputs map[string][]reflect.Value

func inputsOf(t *testing.T, c collectors.Collector, watch func(func(string, any))) inputs {
	t.Helper()
	var mu sync.Mutex
	made := inputs{}
	watch(func(operation string, input any) {
		mu.Lock()
		defer mu.Unlock()
		now := reflect.New(reflect.TypeOf(input).Elem()).Elem() // a collector may use its input again
		now.Set(reflect.ValueOf(input).Elem())
		made[operation] = append(made[operation], now)
	})
	for _, account := range recordings.Accounts() {
		replay(t, c, account, nil)
	}
	return made
}

// fields gives the fields of an operation's input whose names match.
func (in inputs) fields(operation, names string) []string {
	var out []string
	for _, f := range reflect.VisibleFields(in[operation][0].Type()) {
		if regexp.MustCompile(`^(` + names + `)$`).MatchString(f.Name) {
			out = append(out, f.Name)
		}
	}
	return out
}

// set counts the calls that set a field.
func (in inputs) set(operation, field string) int {
	n := 0
	for _, v := range in[operation] {
		if !v.FieldByName(field).IsZero() {
			n++
		}
	}
	return n
}

// TestPagesAreThere keeps TestLostPage from being empty: for each call of which
// the SDK's input has a place for the token of a page, the recordings must
// announce a second one, and the collector ask for it.
func TestPagesAreThere(t *testing.T) {
	e := estate(t)
	excused := map[string]bool{}
	for _, c := range aws.Catalogue(e) {
		spec := c.Spec()
		made := inputsOf(t, c, e.Watch)
		var lost []string // what TestLostPage loses
		for _, account := range recordings.Accounts() {
			for _, page := range announced(t, spec.Name, account) {
				lost = append(lost, strings.ToLower(page.operation))
			}
		}
		for _, call := range spec.Calls {
			operation := call.Operation
			if made[operation] == nil {
				t.Errorf("%s: no recording makes %s", spec.Name, operation)
				continue
			}
			tokens := made.fields(operation, `NextToken|Marker|ContinuationToken|ExclusiveStart\w+|StartingToken|PaginationToken|Cursor`)
			sizes := made.fields(operation, `Limit|PageSize|Max(Results|Items|Records|Keys|Buckets)`)
			switch {
			case len(tokens) == 0 && len(sizes) == 0:
			case len(tokens) != 1:
				t.Errorf("%s: the input of %s has %v, and the token of its pages is one of %v: which?", spec.Name, operation, sizes, tokens)
			case onePage()[operation] != "":
				excused[operation] = true
				if made.set(operation, tokens[0]) > 0 {
					t.Errorf("%s: %s has a second page: drop its reason", spec.Name, operation)
				}
			case made.set(operation, tokens[0]) == 0:
				t.Errorf("%s: no recording of %s has a second page", spec.Name, operation)
			case !slices.Contains(lost, strings.ToLower(operation)):
				t.Errorf("%s: TestLostPage does not know the second page of %s", spec.Name, operation)
			}
		}
	}
	for operation := range onePage() {
		if !excused[operation] {
			t.Errorf("no collector calls %s, which has a reason for having one page", operation)
		}
	}
}

// TestManagedResources holds that what AWS services manage is asked for
// wherever it can be: an account may hide it, and the list would be short
// without a sign of it.
func TestManagedResources(t *testing.T) {
	e := estate(t)
	found := 0
	for _, c := range aws.Catalogue(e) {
		made := inputsOf(t, c, e.Watch)
		for operation, all := range made {
			for _, field := range made.fields(operation, `IncludeManagedResources`) {
				found++
				for _, in := range all {
					if asks := in.FieldByName(field).Elem(); !asks.IsValid() || !asks.Bool() {
						t.Errorf("%s: %s does not set %s", c.Spec().Name, operation, field)
					}
				}
			}
		}
	}
	if found == 0 {
		t.Error("no input has the field: was it renamed?")
	}
}
