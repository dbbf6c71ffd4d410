package agent

import (
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

func TestOfOtherKind(t *testing.T) {
	t.Parallel()
	line, err := encodeLine(evidence.Observation{Kind: "fake.thing", ID: "a", Body: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]bool{"fake.thing": false, "fake.thin": true, "fake.things": true, "fake.part": true} {
		if got := ofOtherKind(line, kind); got != want {
			t.Errorf("%s is not %s: %t, want %t", line, kind, got, want)
		}
	}
	if ofOtherKind([]byte(`{"id":"a","kind":"fake.part"}`), "fake.thing") {
		t.Error("a line in another order was not decoded")
	}
	if ofOtherKind([]byte(`{"kind":"fake.pa`), "fake.thing") {
		t.Error("a line that is cut short was passed over")
	}
}
