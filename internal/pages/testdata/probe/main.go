// Command probe is linked by a test to see what the pages bring along.
package main

import (
	"context"
	"io"
	"net/http"

	"github.com/tallystick/tallystick/internal/pages"
)

func main() {
	s, err := pages.New(pages.Input{})
	if err != nil {
		return
	}
	_ = s.Write(context.Background(), func(string) (io.WriteCloser, error) { return nil, io.EOF })
	s.ServeHTTP(nil, new(http.Request))
}
