// Package web serves the agent's pages over HTTP: /metrics, /healthz, /readyz
// and, on a loopback listener, the report of the period.
//
// It promises to answer these in bounded time, and nothing else. The first
// three show no evidence and take no input, so they need no authentication.
// The report does show evidence: it is only given to a client on this machine
// that asks for this machine by name, so that no page of another site can have
// it read through a browser.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// Bounds on what one client may take.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = 2 * time.Minute
	headerBytes  = 16 << 10
	scrapes      = 4               // at a time; the next is answered 503
	shutdownTime = 5 * time.Second // for answers under way when the agent stops
)

// Server answers HTTP requests. All fields must be set before Run.
type Server struct {
	Metrics prometheus.Gatherer

	// Ready gives nil once the state has been rebuilt from the ledger and
	// every series is back. Its error is shown to whoever asks, so it must
	// not hold anything confidential. It is called from several goroutines.
	Ready func() error

	// Report, when set, answers for everything else. It is only asked on a
	// loopback listener.
	Report http.Handler

	Log *zap.Logger
}

// Listen opens the listener for Run. The address is host:port; port 0 takes a
// free one. The error says what to do.
func Listen(address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return ln, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s: the port is taken by another process, perhaps another tallystick; stop it or set http.listen to a free port: %w", address, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen on %s: this machine does not have that address; set http.listen to one of its own, to 127.0.0.1 or to 0.0.0.0: %w", address, err)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("listen on %s: not permitted; set http.listen to a port above 1023: %w", address, err)
	}
	return nil, fmt.Errorf("listen on %s: set http.listen to host:port, for example 127.0.0.1:8480: %w", address, err)
}

// Run answers requests on ln until ctx ends, then lets answers under way
// finish for a few seconds. It closes ln and returns when nothing of it runs
// any more; the error is nil if ctx ended it.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	logger, err := zap.NewStdLogAt(s.Log, zap.WarnLevel)
	if err != nil {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	srv := &http.Server{
		Handler:           s.handler(ln.Addr()),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          logger,
	}
	s.Log.Info("http listening", zap.Stringer("address", ln.Addr()))

	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		s.Log.Warn("http answers cut short", zap.Error(err))
		_ = srv.Close() // the listener is closed already and the rest is being cut
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// Handler gives the handler that Run serves on a listener that is not of
// loopback.
func (s *Server) Handler() http.Handler { return s.handler(nil) }

func (s *Server) handler(on net.Addr) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{
		ErrorLog:            errorLog{s.Log},
		ErrorHandling:       promhttp.HTTPErrorOnError,
		MaxRequestsInFlight: scrapes,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	if s.Report != nil {
		mux.Handle("/", s.local(on))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// local gives the report to those who may have it.
func (s *Server) local(on net.Addr) http.Handler {
	loopback := false
	if a, ok := on.(*net.TCPAddr); ok {
		loopback = a.IP.IsLoopback()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		switch {
		case !loopback:
			answer(w, http.StatusForbidden, "the report is only shown on a loopback address: set http.listen to 127.0.0.1:8480, or make a bundle with tallystick export")
		case host != "localhost" && (ip == nil || !ip.IsLoopback()):
			answer(w, http.StatusForbidden, "the report is only shown under the name localhost")
		default:
			s.Report.ServeHTTP(w, r)
		}
	})
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that left needs no answer
}

// errorLog hands the scrape's complaints to zap.
type errorLog struct{ log *zap.Logger }

func (l errorLog) Println(v ...any) {
	l.log.Error("scrape failed", zap.String("error", fmt.Sprint(v...)))
}
