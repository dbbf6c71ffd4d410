package sample

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// The files of a sample beside evidence.PayloadPopulation and
// evidence.PayloadSample.
const (
	fileCSV         = "sample.csv"
	fileObservation = "observation.json"
	fileVerdicts    = "verdicts.json"
	fileExchanges   = "exchanges.har"
	fileRecord      = "record.json"
)

// Write pulls the sample into the folder dir, which must be there and empty.
// tool names the program and version that writes, for the HAR files.
func (d *Drawn) Write(ctx context.Context, dir, tool string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("write sample: %w", err)
	}
	w := writer{drawn: d, root: root, tool: tool, store: d.Population.past.payloads}
	err = errors.Join(w.all(ctx), root.Close())
	if err != nil {
		return fmt.Errorf("write sample to %s: %w", dir, err)
	}
	return nil
}

// writer writes below one folder and, whatever names there are in the
// evidence, nowhere else.
type writer struct {
	drawn *Drawn
	root  *os.Root
	tool  string
	store *payload.Store
}

func (w *writer) all(ctx context.Context) error {
	document, err := w.drawn.Document()
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		evidence.PayloadPopulation: w.drawn.Population.Data, evidence.PayloadSample: document, fileCSV: w.drawn.csv(),
	} {
		if err := w.file(name, data); err != nil {
			return err
		}
	}
	for i := range w.drawn.Places {
		if err := w.root.Mkdir(w.drawn.folder(i), 0o750); err != nil {
			return err
		}
	}
	if w.drawn.Population.Definition.Population == Slots {
		return w.slots(ctx)
	}
	runs, chosen := w.drawn.runs()
	for _, r := range runs {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := w.run(r, chosen[r]); err != nil {
			return fmt.Errorf("record %d: %w", r.record, err)
		}
	}
	return w.verdicts(ctx)
}

func (w *writer) file(name string, data []byte) (err error) {
	f, err := w.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(data)
	return err
}

// in names a file in the folder of the i-th chosen item.
func (w *writer) in(i int, name string) string { return filepath.Join(w.drawn.folder(i), name) }

func (w *writer) item(i int) item { return w.drawn.Population.items[w.drawn.Places[i]] }

// key is what names a resource within a run.
type key struct{ kind, region, id string }

// run pulls the chosen resources of one run: their observations, as the run's
// payload has them, and the exchanges that those name.
func (w *writer) run(r *run, chosen []int) error {
	byKey := map[key]int{}
	for _, i := range chosen {
		it := w.item(i)
		byKey[key{it.kind, it.region, it.id}] = i
	}
	sources := map[string][]int{} // by exchange: the items that name it
	var found []int
	for line, err := range payload.RawLines(w.store, r.payload(evidence.PayloadObservations)) {
		if err != nil {
			return err
		}
		var o evidence.Observation
		if err := json.Unmarshal(line, &o); err != nil {
			return fmt.Errorf("read observations: %w", err)
		}
		i, ok := byKey[key{o.Kind, o.Region, o.ID}]
		if !ok {
			continue
		}
		if err := w.file(w.in(i, fileObservation), append(bytes.Clone(line), '\n')); err != nil {
			return err
		}
		found = append(found, i)
		for _, id := range o.Sources {
			sources[id] = append(sources[id], i)
		}
	}
	for _, i := range chosen {
		if w.item(i).observed && !slices.Contains(found, i) {
			return fmt.Errorf("%s %s is not among its observations any more", w.item(i).kind, w.item(i).id)
		}
	}
	return w.exchanges(r, found, sources)
}

// verdict is one verdict in verdicts.json.
type verdict struct {
	Record    uint64          `json:"record"` // of the assessment
	Evaluated time.Time       `json:"evaluated"`
	Verdict   json.RawMessage `json:"verdict"`
}

// verdicts pulls what the checks said of each chosen resource: the newest
// assessment of each check by the end of the day.
func (w *writer) verdicts(ctx context.Context) error {
	p := w.drawn.Population
	byScope := map[evidence.Scope]map[key]int{}
	told := make([][]verdict, len(w.drawn.Places))
	for i := range w.drawn.Places {
		it := w.item(i)
		if byScope[it.Scope] == nil {
			byScope[it.Scope] = map[key]int{}
		}
		byScope[it.Scope][key{it.kind, it.region, it.id}] = i
		told[i] = []verdict{}
	}
	for scope, chosen := range byScope {
		newest := p.past.assessments(scope, time.Time{}, p.To)
		for _, j := range p.past.judged {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if !slices.ContainsFunc(j.checks, func(check string) bool { return newest[check] == j }) {
				continue
			}
			for line, err := range payload.RawLines(w.store, j.verdicts) {
				if err != nil {
					return fmt.Errorf("record %d: %w", j.record, err)
				}
				var v evidence.Verdict
				if err := json.Unmarshal(line, &v); err != nil {
					return fmt.Errorf("record %d: read verdicts: %w", j.record, err)
				}
				if i, ok := chosen[key{v.Kind, v.Region, v.Resource}]; ok && newest[v.Check] == j {
					told[i] = append(told[i], verdict{j.record, j.evaluated, bytes.Clone(line)})
				}
			}
		}
	}
	for i, list := range told {
		data, err := indented(list)
		if err != nil {
			return err
		}
		if err := w.file(w.in(i, fileVerdicts), data); err != nil {
			return err
		}
	}
	return nil
}

// slots pulls the record of each chosen slot and, of a run, its payloads.
func (w *writer) slots(ctx context.Context) error {
	for i := range w.drawn.Places {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		it := w.item(i)
		var record struct {
			Record    uint64              `json:"record"`
			Statement *evidence.Statement `json:"statement"` // as sealed
		}
		switch {
		case it.run != nil:
			record.Record, record.Statement = it.run.record, &it.run.statement
		case it.missed != nil:
			record.Record, record.Statement = it.missed.Index, &it.missed.Statement
		default:
			continue // no record accounts for it: there is nothing to pull
		}
		data, err := indented(record)
		if err != nil {
			return err
		}
		if err := w.file(w.in(i, fileRecord), data); err != nil {
			return err
		}
		if it.run == nil {
			continue
		}
		for _, s := range it.run.statement.Subject {
			if err := w.payload(i, s); err != nil {
				return fmt.Errorf("record %d: %s: %w", it.run.record, s.Name, err)
			}
		}
	}
	return nil
}

// payload copies a payload of a run. Only the names that a run has are taken.
func (w *writer) payload(i int, s evidence.Subject) (err error) {
	var n int
	_, noNumber := fmt.Sscanf(s.Name, evidence.PayloadExchanges, &n)
	if s.Name != evidence.PayloadObservations && s.Name != evidence.PayloadGaps && (noNumber != nil || s.Name != fmt.Sprintf(evidence.PayloadExchanges, n)) {
		return errors.New("a run has no such payload")
	}
	r, err := w.store.Open(evidence.Digest(s.Digest["sha256"]))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f, err := w.root.OpenFile(w.in(i, s.Name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, r)
	return err
}

func isExchanges(name string) bool {
	return strings.HasPrefix(name, "exchanges-") && strings.HasSuffix(name, ".har")
}
