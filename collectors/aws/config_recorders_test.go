package aws_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

// An answer to a question for one recorder that does not hold just one is not
// understood: it is a gap of the field, and the recorder is still there.
func TestRecorderAlone(t *testing.T) {
	e := estate(t)
	for _, tt := range []struct{ operation, field, member string }{
		{"config:DescribeConfigurationRecorders", "Recorder", "ConfigurationRecorders"},
		{"config:DescribeConfigurationRecorderStatus", "Status", "ConfigurationRecordersStatus"},
	} {
		for _, members := range []string{`[]`, `[{"name":"default"},{"name":"other"}]`} {
			t.Run(tt.member+members, func(t *testing.T) {
				l := loss{tt.operation, "us-east-1", 1, 200, "application/x-amz-json-1.1", fmt.Sprintf(`{%q:%s}`, tt.member, members)}
				got, _ := replay(t, named(t, e, "aws.config_recorders"), "111122223333", l.intercept())
				if len(got.gaps) != 1 || len(got.observations) != 5 {
					t.Fatalf("%d gaps and %d observations, want 1 and 5: %v", len(got.gaps), len(got.observations), got.gaps)
				}
				g := got.gaps[0]
				if g.Kind != "aws.config.recorder" || g.Field != tt.field || g.Operation != tt.operation || g.Class != evidence.Malformed {
					t.Errorf("the gap is %+v", g)
				}
				if !strings.Contains(g.Resource, ":us-east-1:") || hasField(t, got, g) {
					t.Errorf("%s has a %s, or is another recorder", g.Resource, g.Field)
				}
			})
		}
	}
}
