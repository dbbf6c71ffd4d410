package sample

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// exchanges writes, for each of the chosen items, a HAR file with the exchanges
// that it names, and none else. sources holds the items by exchange.
func (w *writer) exchanges(r *run, chosen []int, sources map[string][]int) error {
	written := map[int]int{}
	for _, i := range chosen {
		head, err := w.harHead(r, w.item(i))
		if err != nil {
			return err
		}
		if err := w.file(w.in(i, fileExchanges), head); err != nil {
			return err
		}
	}
	for _, s := range r.statement.Subject {
		if !isExchanges(s.Name) {
			continue
		}
		if err := w.harEntries(evidence.Digest(s.Digest["sha256"]), sources, written); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	for id, items := range sources {
		return fmt.Errorf("%s names the exchange %s, which the run has not kept", w.item(items[0]).id, id)
	}
	for _, i := range chosen {
		if err := w.more(i, []byte("\n]}}\n")); err != nil {
			return err
		}
	}
	return nil
}

// harHead opens a file of HAR 1.2, and says where its entries come from.
func (w *writer) harHead(r *run, it item) ([]byte, error) {
	var comment strings.Builder
	fmt.Fprintf(&comment, "The exchanges that the observation of %s %s names, out of those of record %d of the ledger %s (%s).",
		it.kind, it.id, r.record, w.drawn.Population.Ledger, r.ID())
	for _, s := range r.statement.Subject {
		if isExchanges(s.Name) {
			fmt.Fprintf(&comment, " %s: sha256 %s.", s.Name, s.Digest["sha256"])
		}
	}
	head := struct {
		Version string            `json:"version"`
		Creator map[string]string `json:"creator"`
		Comment string            `json:"comment"`
	}{"1.2", map[string]string{"name": "tallystick", "version": w.tool}, comment.String()}
	raw, err := indented(head)
	if err != nil {
		return nil, err
	}
	raw = bytes.TrimSuffix(bytes.TrimSpace(raw), []byte("}"))
	return append(append([]byte(`{"log":`), bytes.TrimSpace(raw)...), []byte(`, "entries": [`)...), nil
}

// harEntries hands the entries of one payload to the items that name them, and
// strikes them off sources.
func (w *writer) harEntries(digest evidence.Digest, sources map[string][]int, written map[int]int) (err error) {
	if len(sources) == 0 {
		return nil
	}
	r, err := w.store.Open(digest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for e, err := range capture.Read(r) {
		if err != nil {
			return err
		}
		items, wanted := sources[e.ID]
		if !wanted {
			continue
		}
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(e); err != nil {
			return fmt.Errorf("exchange %s: %w", e.ID, err)
		}
		for _, i := range items {
			separator := ",\n"
			if written[i] == 0 {
				separator = "\n"
			}
			written[i]++
			if err := w.more(i, append([]byte(separator), bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)); err != nil {
				return err
			}
		}
		delete(sources, e.ID)
	}
	return nil
}

// more appends to an item's HAR file. It is opened each time: there may be
// more items than a process may have files.
func (w *writer) more(i int, data []byte) (err error) {
	f, err := w.root.OpenFile(w.in(i, fileExchanges), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(data)
	return err
}
