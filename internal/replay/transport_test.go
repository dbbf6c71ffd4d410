package replay

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/tallystick/tallystick/internal/capture"
)

// TestRecordedHost sends a request to the endpoint that was recorded, under the
// path that the endpoint had of its own, and never to another call.
func TestRecordedHost(t *testing.T) {
	at := [2]string{"cloudasset", ""}
	for _, c := range []struct {
		name  string
		hosts []string
		paths []string
		asks  string
		want  string
	}{
		{"the same host", []string{"https://api.example.com"}, []string{"/v1/a"}, "https://api.example.com/v1/a?x=1", "https://api.example.com/v1/a?x=1"},
		{"another host", []string{"http://127.0.0.1:80"}, []string{"/v1/a"}, "https://api.example.com/v1/a?x=1", "http://127.0.0.1:80/v1/a?x=1"},
		{"under a path", []string{"http://127.0.0.1:80"}, []string{"/p/v1/a", "/p/v1/b%2Fc"}, "https://api.example.com/v1/b%2Fc?x=1", "http://127.0.0.1:80/p/v1/b%2Fc?x=1"},
		{"the path itself comes first", []string{"http://127.0.0.1:80"}, []string{"/p/v1/a", "/v1/a"}, "https://api.example.com/v1/a", "http://127.0.0.1:80/v1/a"},
		{"not under the path of all", []string{"http://127.0.0.1:80"}, []string{"/p/v1/a", "/v1/b"}, "https://api.example.com/v1/a", "http://127.0.0.1:80/v1/a"},
		{"no path at all", []string{"http://127.0.0.1:80"}, []string{"/bucket/"}, "https://api.example.com/", "http://127.0.0.1:80/"},
		{"two hosts", []string{"http://127.0.0.1:80", "http://127.0.0.1:81"}, []string{"/p/v1/a"}, "https://api.example.com/v1/a", "https://api.example.com/v1/a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &recording{hosts: map[[2]string][]*url.URL{}, paths: map[[2]string][]string{at: c.paths}}
			for _, host := range c.hosts {
				u, err := url.Parse(host)
				if err != nil {
					t.Fatal(err)
				}
				r.hosts[at] = append(r.hosts[at], u)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.asks, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.toRecordedHost(req, capture.Labels{Service: at[0]}).URL.String(); got != c.want {
				t.Errorf("went to %s, want %s", got, c.want)
			}
			if req.URL.String() != c.asks {
				t.Errorf("the request itself is now for %s", req.URL)
			}
		})
	}
}
