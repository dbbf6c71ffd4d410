package gcp_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/internal/capture"
)

// secretCluster has in each place of a cluster that may hold a secret a made-up one.
// Source: GKE API reference, projects.locations.clusters.
const secretCluster = `{"assets": [{"name": "//container.googleapis.com/projects/example-solo/locations/europe-west1/clusters/main",
 "assetType": "container.googleapis.com/Cluster", "ancestors": ["projects/100000000009"], "resource": {"location": "europe-west1", "data": {
  "name": "main",
  "masterAuth": {"username": "admin", "password": "made-up", "clientKey": "made-up"},
  "nodeConfig": {"metadata": {"bootstrap": "made-up"}},
  "nodePools": [{"name": "pool-1", "config": {
   "metadata": {"bootstrap": "made-up"},
   "linuxNodeConfig": {"customNodeInit": {"initScript": {"args": ["made-up"]}}},
   "containerdConfig": {"registryHosts": [{"hosts": [{"header": [{"key": "Authorization", "value": ["made-up"]}]}]}]}}}]}}}]}`

// TestSecretsOfClusters proves that no secret of a cluster is kept, and that it is
// still seen what there was.
func TestSecretsOfClusters(t *testing.T) {
	c := collectorOf(t, estate(t), "gcp.cloudasset_resources")
	got, kept := replay(t, c, "example-solo", func(req *http.Request, _ capture.Labels) (*http.Response, error) {
		return answered(req, 200, secretCluster), nil
	})
	observed, err := json.Marshal(got.observations)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string][]byte{"the observation": observed, "the exchange": kept} {
		if bytes.Contains(text, []byte("made-up")) {
			t.Errorf("%s holds a secret: %s", what, text)
		}
		if n := bytes.Count(text, []byte("REDACTED-")); n < strings.Count(secretCluster, "made-up") {
			t.Errorf("%s has %d places that are redacted", what, n)
		}
		if !bytes.Contains(text, []byte("bootstrap")) {
			t.Errorf("%s does not tell the keys of metadata", what)
		}
	}
}
