package pages

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// index says on which page what stands. It holds no bodies.
type index struct {
	resources map[key]place // observations of the newest runs
	answers   map[key]place // exchanges of the newest runs, by their id within the run

	observed  []part // as Report.Streams
	exchanged []part // likewise

	judged  map[string]*part // population by check
	changes int
}

// part is how much of something there is.
type part struct {
	rows, pages int
	missing     []evidence.Digest // payloads that are not here
}

type place struct{ stream, page, row int32 }

// key is a hash, so that a million long names take no more than short ones.
type key [16]byte

func keyOf(parts ...string) (k key) {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		_, _ = h.Write(n[:]) // never fails: hash.Hash
		_, _ = h.Write([]byte(p))
	}
	copy(k[:], h.Sum(nil))
	return k
}

func resourceKey(s evidence.Scope, kind, region, id string) key {
	return keyOf(s.Provider, s.Account, kind, region, id)
}

func answerKey(s evidence.Stream, id string) key { return keyOf(s.String(), id) }

// index reads what the pages are about, once.
func (s *Site) index(ctx context.Context) (*index, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ix != nil {
		return s.ix, nil
	}
	ix := &index{resources: map[key]place{}, answers: map[key]place{}, judged: map[string]*part{}}
	for i := range s.r.Streams {
		if err := s.indexStream(ctx, ix, i); err != nil {
			return nil, err
		}
	}
	if err := s.indexVerdicts(ctx, ix); err != nil {
		return nil, err
	}
	for _, err := range s.in.Changes() {
		if err != nil {
			return nil, fmt.Errorf("read the change log: %w", err)
		}
		ix.changes++
	}
	s.ix = ix
	return ix, nil
}

func (s *Site) indexStream(ctx context.Context, ix *index, i int) error {
	st := &s.r.Streams[i]
	var seen, answers part
	by := observedSplitter()
	for o, err := range s.readObservations(ctx, st.Newest) {
		if missed(err, &seen) {
			continue
		} else if err != nil {
			return err
		}
		seen.pages = by.next(o.weight())
		at := place{int32(i), int32(seen.pages), int32(seen.rows)} //nolint:gosec // G115: counts of what was held in memory before.
		seen.rows++
		k := resourceKey(st.Scope, o.Kind, o.Region, o.ID)
		if _, ok := ix.resources[k]; !ok {
			ix.resources[k] = at
		}
	}
	by = exchangesSplitter()
	for e, err := range s.readExchanges(ctx, st.Newest) {
		if missed(err, &answers) {
			continue
		} else if err != nil {
			return err
		}
		answers.pages = by.next(e.weight())
		k := answerKey(st.Stream, e.ID)
		if _, ok := ix.answers[k]; !ok && e.ID != "" {
			ix.answers[k] = place{int32(i), int32(answers.pages), int32(answers.rows)} //nolint:gosec // G115: as above.
		}
		answers.rows++
	}
	ix.observed = append(ix.observed, seen)
	ix.exchanged = append(ix.exchanged, answers)
	return nil
}

// missed notes a payload that is not here, and says that err was about that.
func missed(err error, p *part) bool {
	var absent *absentError
	if !errors.As(err, &absent) {
		return false
	}
	p.missing = append(p.missing, absent.digest)
	return true
}

func (s *Site) indexVerdicts(ctx context.Context, ix *index) error {
	counts := map[evidence.Digest]map[string]int{} // nil for a payload that is not here
	for i := range s.r.Judgements {
		j := &s.r.Judgements[i]
		if ix.judged[j.Check] == nil {
			ix.judged[j.Check] = &part{}
		}
		p := ix.judged[j.Check]
		if _, ok := counts[j.Verdicts]; !ok {
			of, err := s.countVerdicts(ctx, j.Verdicts)
			if err != nil {
				return err
			}
			counts[j.Verdicts] = of
		}
		if of := counts[j.Verdicts]; of == nil {
			p.missing = append(p.missing, j.Verdicts)
		} else {
			p.rows += of[j.Check]
		}
	}
	for _, p := range ix.judged {
		p.pages = pagesFor(p.rows, rowsOnPage)
	}
	return nil
}

// countVerdicts counts the verdicts of a payload by check; nil when it is not here.
func (s *Site) countVerdicts(ctx context.Context, d evidence.Digest) (map[string]int, error) {
	counts := map[string]int{}
	for line, err := range s.lines(ctx, d) {
		var p part
		if missed(err, &p) {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("read verdicts: %w", err)
		}
		check, err := checkOf(line)
		if err != nil {
			return nil, fmt.Errorf("read verdicts %s: %w", d, err)
		}
		counts[check]++
	}
	return counts, nil
}

// checkOf gives the check that a line of verdicts is about. Lines begin with
// it, and its id needs no escapes, as a rule.
func checkOf(line []byte) (string, error) {
	if rest, ok := bytes.CutPrefix(line, []byte(`{"check":"`)); ok {
		if i := bytes.IndexByte(rest, '"'); i >= 0 && bytes.IndexByte(rest[:i], '\\') < 0 {
			return string(rest[:i]), nil
		}
	}
	var v struct {
		Check string `json:"check"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return "", fmt.Errorf("decode a verdict: %w", err)
	}
	return v.Check, nil
}

// absentError is returned for a payload that is not in the store.
type absentError struct{ digest evidence.Digest }

func (e *absentError) Error() string { return fmt.Sprintf("payload %s is not here", e.digest) }

func (e *absentError) Unwrap() error { return fs.ErrNotExist }

// findResource gives the page and anchor of a resource in the newest
// observations, relative to the top, or "".
func (s *Site) findResource(ix *index, scope evidence.Scope, kind, region, id string) string {
	at, ok := ix.resources[resourceKey(scope, kind, region, id)]
	if !ok {
		return ""
	}
	return s.observationsName(int(at.stream))(int(at.page)) + "#" + observationAnchor(int(at.row))
}

// findAnswer does the same for an exchange.
func (s *Site) findAnswer(ix *index, stream evidence.Stream, id string) string {
	at, ok := ix.answers[answerKey(stream, id)]
	if !ok {
		return ""
	}
	return s.exchangesName(int(at.stream))(int(at.page)) + "#" + exchangeAnchor(int(at.row))
}

func observationAnchor(row int) string { return fmt.Sprintf("o%d", row+1) }

func exchangeAnchor(row int) string { return fmt.Sprintf("e%d", row+1) }

// judgements lists those of a check, in the order of the report.
func (s *Site) judgements(check string) []*period.Judgement {
	var of []*period.Judgement
	for i := range s.r.Judgements {
		if s.r.Judgements[i].Check == check {
			of = append(of, &s.r.Judgements[i])
		}
	}
	return of
}

func short(d evidence.Digest) string { return strings.ToLower(string(d[:min(12, len(d))])) }
