package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/evidence/schedule"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/export"
)

// span is what the user asked for.
type span struct {
	from, to, asOf string
	controls       []string
}

func newExport() *cobra.Command {
	var (
		want       span
		out        string
		recipients []string
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Make the bundle that an auditor receives",
		Long: `Make a bundle of the evidence of a period: records, payloads and proofs, and
the pages, tables, workbook and OSCAL results that follow from them. The bundle
is recorded in the ledger with its digest; an agent may be at work meanwhile.

Without --from and --to it is about the period of the configuration. When that
has not ended, the bundle goes up to now. --as-of DATE makes a report of what
stood at the end of that day (Type 1) and, before the period opens, a readiness
assessment in which every gap is listed.

--out names a directory that does not exist, or a file that ends in .tar.zst.
With --recipient it ends in .tar.zst.age, and only the holders of those age
keys can read it.`,
		Example: `  tallystick export --out bundle
  tallystick export --from 2026-07-01 --to 2026-09-30 --out q3.tar.zst
  tallystick export --out bundle.tar.zst.age --recipient age1...
  tallystick export --as-of 2026-06-30 --out readiness`,
		Args: noArguments,
	}
	path := configFlag(cmd)
	output := outputFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&want.from, "from", "", "first day, YYYY-MM-DD (default: period.start of the configuration)")
	flags.StringVar(&want.to, "to", "", "last day, YYYY-MM-DD (default: period.end of the configuration)")
	flags.StringVar(&want.asOf, "as-of", "", "what stood at the end of this day, YYYY-MM-DD")
	flags.StringSliceVar(&want.controls, "controls", nil, "only these controls (default: all)")
	flags.StringVar(&out, "out", "", "the bundle to make: a new directory, or a file .tar.zst")
	flags.StringSliceVar(&recipients, "recipient", nil, "encrypt to this age recipient (age1...); may be repeated")
	cobra.CheckErr(cmd.MarkFlagRequired("out"))
	cmd.MarkFlagsMutuallyExclusive("as-of", "from")
	cmd.MarkFlagsMutuallyExclusive("as-of", "to")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		file, err := readConfig(*path)
		if err != nil {
			return err
		}
		encrypt, err := encryption(out, recipients)
		if err != nil {
			return err
		}
		state, err := agent.ReadState(cmd.Context(), file.Config.Evidence.Dir, nil)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s holds no ledger yet: run `tallystick collect` or `tallystick run` first", file.Config.Evidence.Dir)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w; `tallystick verify %s` says more", file.Config.Evidence.Dir, err, file.Config.Evidence.Dir)
		}
		now := time.Now().UTC().Truncate(time.Second)
		if state.Simulated {
			now = state.Alive.Add(time.Second).Truncate(time.Second)
		}
		window, kind, err := want.window(file.Config, now, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if err := knownControls(file, window.Controls); err != nil {
			return err
		}
		signer, err := seal.LoadKey(file.Config.Evidence.Key)
		if err != nil {
			return err
		}
		progress := newBar(cmd.ErrOrStderr(), "exporting", 0)
		summary, err := export.Write(cmd.Context(), export.Options{
			Dir: file.Config.Evidence.Dir, Out: out, Kind: kind, Window: window, Signer: signer, Program: program(),
			Encrypt: encrypt, Progress: progress.set,
		})
		progress.stop()
		if err != nil {
			return err
		}
		return printExport(cmd.OutOrStdout(), cmd.ErrOrStderr(), *output, summary, signer.VerifierKey())
	}
	return cmd
}

// window gives what the bundle is about.
func (s span) window(c config.Config, now time.Time, warn io.Writer) (w period.Window, kind string, err error) {
	w.Zone = c.Location()
	w.Controls = slices.Compact(slices.Sorted(slices.Values(s.controls)))
	kind = evidence.ExportPeriod
	if s.asOf != "" {
		w.AsOf, kind = true, evidence.ExportAsOf
		s.from, s.to = s.asOf, s.asOf
		if s.asOf < c.Period.Start {
			kind = evidence.ExportReadiness
		}
	}
	if w.From, _, err = schedule.Date(cmp.Or(s.from, c.Period.Start), w.Zone); err != nil {
		return w, "", fmt.Errorf("first day: %w", err)
	}
	if _, w.To, err = schedule.Date(cmp.Or(s.to, c.Period.End), w.Zone); err != nil {
		return w, "", fmt.Errorf("last day: %w", err)
	}
	switch {
	case !w.From.Before(w.To):
		return w, "", fmt.Errorf("the last day, %s, is before the first, %s", cmp.Or(s.to, c.Period.End), cmp.Or(s.from, c.Period.Start))
	case !w.From.Before(now):
		return w, "", fmt.Errorf("%s is in the future: there is no evidence of it yet; --as-of %s makes a readiness assessment of today",
			cmp.Or(s.from, c.Period.Start), now.In(w.Zone).Format(time.DateOnly))
	case now.Before(w.To):
		w.To = now
		if !w.AsOf {
			fmt.Fprintf(warn, "the period has not ended: the bundle goes up to %s\n", now.Format(time.RFC3339))
		}
	}
	return w, kind, nil
}

// knownControls refuses a control that the catalogue does not have.
func knownControls(file *config.File, controls []string) error {
	if len(controls) == 0 {
		return nil
	}
	rules, err := loadCatalogue(file)
	if err != nil {
		return err
	}
	var known []string
	for _, c := range rules.Controls() {
		known = append(known, c.ID)
	}
	for _, id := range controls {
		if !slices.Contains(known, id) {
			return fmt.Errorf("--controls %s: there is no such control; `tallystick catalog` lists them", id)
		}
	}
	return nil
}

// encryption gives what wraps the archive, nil for nothing.
func encryption(out string, recipients []string) (func(io.Writer) (io.WriteCloser, error), error) {
	const suffix = ".tar.zst.age"
	if len(recipients) == 0 {
		if strings.HasSuffix(out, suffix) {
			return nil, fmt.Errorf("--out %s is to be encrypted, and there is no --recipient to encrypt it to", out)
		}
		return nil, nil
	}
	if !strings.HasSuffix(out, suffix) {
		return nil, fmt.Errorf("--out %s must end in %s when it is encrypted to a recipient", out, suffix)
	}
	var keys []age.Recipient
	for _, text := range recipients {
		key, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fmt.Errorf("--recipient %s: not an age recipient such as age1..., as `age-keygen` prints it: %w", text, err)
		}
		keys = append(keys, key)
	}
	return func(w io.Writer) (io.WriteCloser, error) { return age.Encrypt(w, keys...) }, nil
}

func printExport(w, notes io.Writer, f format, s *export.Summary, key string) error {
	total := s.Report.Total()
	row := []string{
		s.Out, fmt.Sprint(s.Records), fmt.Sprint(s.Files), fmt.Sprint(total.Due), fmt.Sprint(total.Sealed + total.Late), fmt.Sprint(total.Partial + total.Failed),
		fmt.Sprint(total.Missed + total.Open), fmt.Sprint(len(s.Report.Deviations)),
	}
	l := listing{
		header: []string{"bundle", "records", "files", "slots due", "complete", "with gaps", "not run", "deviations"},
		rows:   [][]string{row},
		value: struct {
			*export.Summary
			Slots      period.Tally `json:"slots"`
			Deviations int          `json:"deviations"`
			Key        string       `json:"key"`
		}{s, total, len(s.Report.Deviations), key},
	}
	if err := l.write(w, f); err != nil || f != asTable {
		return err
	}
	if _, err := fmt.Fprintf(w, "\nrecorded in the ledger as record %d; the manifest has the SHA-256 %s\ncheck it with: tallystick verify --key %s %s\n",
		s.Record, s.Manifest, key, s.Out); err != nil {
		return err
	}
	if s.Report.Simulated {
		warnSimulated(notes)
	}
	return nil
}
