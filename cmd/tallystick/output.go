package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tallystick/tallystick/evidence/period"
)

// format is the value of --output.
type format string

const (
	asTable format = "table"
	asJSON  format = "json"
	asCSV   format = "csv"

	// Of some commands only; listing.write does not know them.
	asMarkdown       format = "markdown"
	asTerraform      format = "terraform"
	asCloudFormation format = "cloudformation"
	asYAML           format = "yaml"
)

// choice is --output of one command.
type choice struct {
	format
	of []string
}

func (c *choice) String() string { return string(c.format) }
func (*choice) Type() string     { return "FORMAT" }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("use %s", oneOf(c.of))
	}
	c.format = format(s)
	return nil
}

// oneOf gives "table, json or csv".
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// outputFlag adds --output to a command, with formats of its own beside those
// that every command has.
func outputFlag(cmd *cobra.Command, own ...format) *format {
	c := &choice{asTable, []string{string(asTable), string(asJSON), string(asCSV)}}
	for _, f := range own {
		c.of = append(c.of, string(f))
	}
	cmd.Flags().VarP(c, "output", "o", "table for people; "+oneOf(c.of[1:])+" for programs")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(c.of, cobra.ShellCompDirectiveNoFileComp)))
	return &c.format
}

// listing is something to print in any format that every command has.
type listing struct {
	header []string
	rows   [][]string
	value  any // for JSON
}

func (l listing) write(w io.Writer, f format) error {
	switch f {
	case asJSON:
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(l.value)
	case asCSV:
		c := csv.NewWriter(w)
		if err := c.Write(l.header); err != nil {
			return err
		}
		for _, row := range l.rows {
			safe := make([]string, len(row))
			for i, cell := range row {
				safe[i] = period.Inert(cell)
			}
			if err := c.Write(safe); err != nil {
				return err
			}
		}
		c.Flush()
		return c.Error()
	default:
		t := table.NewWriter()
		t.SetStyle(style())
		if width := terminalWidth(w); width > 0 {
			t.SetColumnConfigs([]table.ColumnConfig{{
				Number: len(l.header), WidthMax: lastColumn(l, width), WidthMaxEnforcer: text.WrapSoft,
			}})
		}
		t.AppendHeader(cells(l.header))
		for _, row := range l.rows {
			t.AppendRow(cells(row))
		}
		_, err := fmt.Fprintln(w, t.Render())
		return err
	}
}

func style() table.Style {
	s := table.StyleLight
	s.Options = table.OptionsNoBordersAndSeparators
	s.Format.Header = text.FormatUpper
	return s
}

func cells(row []string) table.Row {
	out := make(table.Row, len(row))
	for i, c := range row {
		out[i] = c
	}
	return out
}

// lastColumn gives the width that is left for the last column, which holds the
// sentences.
func lastColumn(l listing, width int) int {
	for i := range len(l.header) - 1 {
		widest := len(l.header[i])
		for _, row := range l.rows {
			widest = max(widest, text.StringWidthWithoutEscSequences(row[i]))
		}
		width -= widest + 2
	}
	return max(width-2, 30)
}

// terminalWidth gives the columns of a terminal, 0 when w is none.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// when prints a time for people; the zero time is a dash.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
