package gcp

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/api/googleapi"
)

// get sends a request to a service for which there is no generated REST client.
// The path begins with the version; an error answer is the one of the other clients.
func (t *task) get(ctx context.Context, service, path string, query url.Values) error {
	address := "https://" + service + ".googleapis.com"
	if endpoint, set := t.estate.settings.Endpoints[service]; set {
		address = strings.TrimSuffix(endpoint, "/")
	}
	address += "/" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := t.estate.http(t, t.estate.identity.cloud).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	if err := googleapi.CheckResponse(resp); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
