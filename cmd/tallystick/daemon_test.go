package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// TestReloadForgets: an account that the next configuration does not have, or a
// collector that it has off, leaves no series behind, and the others keep theirs.
func TestReloadForgets(t *testing.T) {
	d := &daemon{registry: prometheus.NewRegistry()}
	var err error
	if d.metrics, err = telemetry.New(d.registry); err != nil {
		t.Fatal(err)
	}
	made := &demo{}
	if err := made.prepare(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(made.dir+"/tallystick.yaml", config.Known{})
	if err != nil {
		t.Fatal(err)
	}
	providers, err := recorded(t.Context(), file, agent.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	before, err := wire(t.Context(), file, slices.Clone(providers), evidence.EventStarted, zap.NewNop(), d.metrics)
	if err != nil {
		t.Fatal(err)
	}
	next, err := wire(t.Context(), file, slices.Clone(providers), evidence.EventReloaded, zap.NewNop(), d.metrics)
	if err != nil {
		t.Fatal(err)
	}
	next.Providers[0].Accounts = []string{"111122223333"}
	next.ScheduleFor = func(collector string) string {
		if collector == "aws.s3_buckets" {
			return ""
		}
		return before.ScheduleFor(collector)
	}

	for stream := range before.Schedule().Streams {
		d.metrics.RunFinished(&evidence.Run{Task: evidence.Task{Stream: stream}, Outcome: evidence.Complete})
		d.metrics.SetVerdicts(stream.Scope, "backup-storage", evidence.CheckCount{Check: "aws-s3-versioning", Pass: 1})
	}
	d.forget(before, next)
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	left, collectors := map[string]int{}, map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "account" && strings.HasPrefix(f.GetName(), "tallystick_") {
					left[l.GetValue()]++
				}
				if l.GetName() == "collector" {
					collectors[l.GetValue()]++
				}
			}
		}
	}
	if left["444455556666"] != 0 || left["111122223333"] == 0 {
		t.Errorf("series left by account: %v", left)
	}
	if collectors["aws.s3_buckets"] != 0 || collectors["aws.iam_users"] == 0 {
		t.Errorf("series left by collector: %v", collectors)
	}
}
