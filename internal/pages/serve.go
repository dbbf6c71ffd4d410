package pages

import (
	"bytes"
	"net/http"
	"path"
	"strings"

	"github.com/a-h/templ"
)

// policy lets a page load its own style and script and nothing else, and go
// nowhere: what a provider said could not act even if it became markup.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP answers GET and HEAD for the names that Write makes, relative to
// where the site is mounted; the empty path is index.html. A page is rendered
// when it is asked for. The mount point must end in a slash, since links are
// relative. It does not authenticate: whoever mounts it does.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "these pages can only be read", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	if data, err := assets.ReadFile(name); err == nil {
		kind := "text/css; charset=utf-8"
		if path.Ext(name) == ".js" {
			kind = "text/javascript; charset=utf-8"
		}
		h.Set("Content-Type", kind)
		_, _ = w.Write(data) //nolint:gosec // G705: an embedded file. The reader may have gone.
		return
	}
	page, found, err := s.page(r, name)
	switch {
	case err != nil:
		http.Error(w, "this page can not be made: "+err.Error(), http.StatusInternalServerError)
	case !found:
		http.Error(w, "there is no such page; go to index.html", http.StatusNotFound)
	default:
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page) //nolint:gosec // G705: templ has escaped it. The reader may have gone.
	}
}

// page renders the page of that name.
func (s *Site) page(r *http.Request, name string) (html []byte, found bool, err error) {
	ix, err := s.index(r.Context())
	if err != nil {
		return nil, false, err
	}
	for _, sec := range s.sections(ix) { //nolint:contextcheck // a component takes its context when it is rendered.
		for p := 1; p <= sec.pages; p++ {
			if sec.name(p) != name {
				continue
			}
			var b bytes.Buffer
			err := sec.render(r.Context(), p, func(_ int, c templ.Component) error { return c.Render(r.Context(), &b) }) //nolint:contextcheck // a component takes its context when it is rendered.
			return b.Bytes(), true, err
		}
	}
	return nil, false, nil
}
