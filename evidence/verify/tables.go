package verify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
	"github.com/tallystick/tallystick/evidence/period"
)

// table is a file below bundle.TablesDir as it must be.
type table struct {
	name  string // "deviations.csv"
	write func(io.Writer) error
}

// recomputeTables gives every table that the records and payloads of the bundle
// make. It is called when nothing else was wrong.
func (c *check) recomputeTables(ctx context.Context) iter.Seq2[table, error] {
	return func(yield func(table, error) bool) {
		changes, err := period.NewChangeFile()
		if err != nil {
			yield(table{}, err)
			return
		}
		defer func() { _ = changes.Close() }() // nothing that lasts was written
		report, err := c.fold(ctx, changes)
		if err != nil {
			yield(table{}, err)
			return
		}
		for _, t := range period.Tables(report, period.Sources{Payloads: c.store, Changes: changes.All}) {
			if !yield(table{name: t.Name + ".csv", write: t.WriteCSV}, nil) {
				return
			}
		}
	}
}

// fold gives the report that the records of the bundle make.
func (c *check) fold(ctx context.Context, changes *period.ChangeFile) (*period.Report, error) {
	m := c.bundle.Meta
	zone, err := time.LoadLocation(m.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time zone %q of %s: %w", m.TimeZone, bundle.MetaFile, err)
	}
	fold := period.New(period.Options{
		Window:   period.Window{From: m.From, To: m.To, Zone: zone, AsOf: m.Kind != evidence.ExportPeriod, Controls: m.Controls},
		Payloads: c.store, Changed: changes.Add,
	})
	for e, err := range c.bundle.Entries() {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = fold.Take(e)
		}
		if err != nil {
			return nil, err
		}
	}
	return fold.Report(m.To)
}

// checkTables compares the tables of the bundle with those that its records
// make, byte for byte.
func (c *check) checkTables(ctx context.Context) error {
	if len(c.Problems) > 0 {
		return nil // they would only say it again
	}
	var made []string
	for t, err := range c.recomputeTables(ctx) {
		if err != nil {
			return c.noTables(err)
		}
		name := path.Join(bundle.TablesDir, t.name)
		made = append(made, name)
		switch err := c.compareTable(name, t); {
		case errors.Is(err, errDiffers):
			c.problem(KindTable, name, "%v", err)
		case missing(err):
			c.problem(KindTable, name, "the records give this table, and it is not there")
		case err != nil:
			return c.noTables(err)
		default:
			c.Report.Bundle.Tables++
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	for name := range c.bundle.files {
		if strings.HasPrefix(name, bundle.TablesDir+"/") && !slices.Contains(made, name) {
			c.problem(KindTable, name, "the records give no such table")
		}
	}
	return nil
}

// noTables tells a disk that does not work from records that make no tables.
func (c *check) noTables(err error) error {
	_, system := errors.AsType[*fs.PathError](err)
	if system || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("recompute tables: %w", err)
	}
	c.problem(KindTable, bundle.TablesDir, "the records and payloads make no tables: %v", err)
	return nil
}

func (c *check) compareTable(name string, t table) error {
	f, err := c.bundle.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	same := &comparer{r: bufio.NewReaderSize(f, 64<<10), line: 1}
	if err := t.write(same); err != nil {
		return err
	}
	if _, err := same.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("%w: it goes on in line %d, where what the records give ends", errDiffers, same.line), nonEOF(err))
	}
	return nil
}

func nonEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

var errDiffers = errors.New("it is not what the records give")

// comparer is written what ought to be in a file.
type comparer struct {
	r    *bufio.Reader
	buf  []byte
	line int
}

func (c *comparer) Write(p []byte) (int, error) {
	if len(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	n, err := io.ReadFull(c.r, c.buf[:len(p)])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err
	}
	got := c.buf[:n]
	if bytes.Equal(got, p) {
		c.line += bytes.Count(p, []byte{'\n'})
		return len(p), nil
	}
	same := 0
	for same < n && got[same] == p[same] {
		same++
	}
	return same, fmt.Errorf("%w, from line %d on", errDiffers, c.line+bytes.Count(p[:same], []byte{'\n'}))
}
