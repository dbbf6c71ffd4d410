package gcp_test

import (
	"errors"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/collectors/gcp/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

var errDisk = errors.New("no space left on device")

// full takes no observation.
type full struct{ *seen }

func (full) Observe(evidence.Observation) error { return errDisk }

// TestFullDisk demands of each collector that an error of the runner's ends the
// task, and is no gap: nothing is wrong with what was read.
func TestFullDisk(t *testing.T) {
	for _, c := range gcp.Catalogue(estate(t)) {
		t.Run(c.Spec().Name, func(t *testing.T) {
			const account = "organizations/123456789012"
			files, err := recordings.Open(account, c.Spec().Name)
			if err != nil {
				t.Fatal(err)
			}
			replayer, err := capture.OpenReplay(capture.ReplayOptions{Describe: gcp.Describe, RepeatLast: true, Now: recordings.At}, files...)
			if err != nil {
				t.Fatal(err)
			}
			got := newSeen()
			err = c.Collect(t.Context(), collectors.Input{
				Scope: evidence.Scope{Provider: gcp.Provider, Account: account}, Captured: kept(replayer), InFlight: 4, Wait: got.wait,
			}, full{got})
			if !errors.Is(err, errDisk) || len(got.gaps) > 0 {
				t.Errorf("error %v, gaps %+v", err, got.gaps)
			}
		})
	}
}
