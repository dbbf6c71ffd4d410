package pages

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/internal/capture"
)

// maxLine bounds a line of a payload: an observation or a verdict.
const maxLine = 64 << 20

// lines gives the lines of a payload, to its end unless the caller stops: that
// checks its digest. A line is valid until the next. A payload that is not in
// the store is an *absentError; no digest is no lines.
func (s *Site) lines(ctx context.Context, d evidence.Digest) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if d == "" {
			return
		}
		r, err := s.in.Payloads.Open(d)
		if err != nil {
			yield(nil, absent(d, err))
			return
		}
		defer r.Close()
		scan := bufio.NewScanner(r)
		scan.Buffer(make([]byte, 64<<10), maxLine)
		for n := 0; scan.Scan(); n++ {
			if len(scan.Bytes()) > 0 && !yield(scan.Bytes(), nil) {
				return
			}
			if n%1024 == 0 && ctx.Err() != nil {
				yield(nil, ctx.Err())
				return
			}
		}
		if err := scan.Err(); err != nil {
			yield(nil, fmt.Errorf("read payload %s: %w", d, err))
		}
	}
}

func absent(d evidence.Digest, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &absentError{digest: d}
	}
	return err
}

// observation is one of a run, with its place in it.
type observation struct {
	evidence.Observation
	row int
}

func (o observation) weight() int { return len(o.Body) }

func observedSplitter() splitter { return splitter{rows: observedOnPage, bytes: bytesOnPage} }

// readObservations gives the observations of a run in their order. Nil gives none.
func (s *Site) readObservations(ctx context.Context, run *period.Run) iter.Seq2[observation, error] {
	return func(yield func(observation, error) bool) {
		if run == nil {
			return
		}
		row := 0
		for line, err := range s.lines(ctx, run.Observations) {
			o := observation{row: row}
			if err == nil {
				if err = json.Unmarshal(line, &o.Observation); err != nil {
					err = fmt.Errorf("read observations %s: line %d: %w", run.Observations, row+1, err)
				}
			}
			if !yield(o, err) {
				return
			}
			row++
		}
	}
}

// exchange is one of a run, with its place in it.
type exchange struct {
	capture.Entry
	row     int
	payload evidence.Digest
	number  int // within the payload, from 1
}

func (e exchange) weight() int {
	n := min(len(e.Response.Content.Text)+len(e.Response.Content.JSON), bytesOfBody)
	if p := e.Request.PostData; p != nil {
		n += min(len(p.Text)+len(p.JSON), bytesOfBody)
	}
	return n
}

func exchangesSplitter() splitter { return splitter{rows: exchangesOnPage, bytes: bytesOnPage} }

// readExchanges gives the exchanges of a run in their order, over all of its
// payloads. After an *absentError it goes on with the next payload.
func (s *Site) readExchanges(ctx context.Context, run *period.Run) iter.Seq2[exchange, error] {
	return func(yield func(exchange, error) bool) {
		if run == nil {
			return
		}
		row := 0
		for _, d := range run.Exchanges {
			if !s.readHAR(ctx, d, &row, yield) {
				return
			}
		}
	}
}

func (s *Site) readHAR(ctx context.Context, d evidence.Digest, row *int, yield func(exchange, error) bool) bool {
	r, err := s.in.Payloads.Open(d)
	if err != nil {
		return yield(exchange{}, absent(d, err))
	}
	defer r.Close()
	number := 0
	for entry, err := range capture.Read(r) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(exchange{}, fmt.Errorf("read exchanges %s: %w", d, err))
			return false
		}
		number++
		if !yield(exchange{Entry: entry, row: *row, payload: d, number: number}, nil) {
			return false
		}
		*row++
	}
	return true
}

// readVerdicts gives the verdicts of a check in all of its scopes. Payloads
// that are not here are passed over: the index lists them.
func (s *Site) readVerdicts(ctx context.Context, check string) iter.Seq2[evidence.Verdict, error] {
	return func(yield func(evidence.Verdict, error) bool) {
		for _, j := range s.judgements(check) {
			for line, err := range s.lines(ctx, j.Verdicts) {
				if _, ok := errors.AsType[*absentError](err); ok {
					break
				}
				var v evidence.Verdict
				if err == nil {
					var is string
					if is, err = checkOf(line); err == nil && is != check {
						continue
					}
				}
				if err == nil {
					err = json.Unmarshal(line, &v)
				}
				if err != nil {
					yield(v, fmt.Errorf("read verdicts %s: %w", j.Verdicts, err))
					return
				}
				if !yield(v, nil) {
					return
				}
			}
		}
	}
}

// present skips what is not here.
func present[T any](rows iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range rows {
			if _, ok := errors.AsType[*absentError](err); ok {
				continue
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// pretty gives a JSON body over several lines. Numbers and the order of fields
// stay as they are.
func pretty(body []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		return string(body)
	}
	return b.String()
}
