package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
	sampling "github.com/tallystick/tallystick/evidence/sample"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/replay"
)

// sampleFlags are what the auditor asked for.
type sampleFlags struct {
	of         sampling.Definition
	choice     sampling.Choice
	requested  string
	out, key   string
	incomplete bool
}

func newSample() *cobra.Command {
	var f sampleFlags
	cmd := &cobra.Command{
		Use:   "sample [PATH]",
		Short: "Draw an auditor's sample, and pull it with its raw exchanges",
		Long: `Freeze a population, choose from it by the auditor's seed, and write what was
chosen, with the exchanges that it came from, into a new folder. The same
population, seed, method and size give the same choice; docs/formats/sample.md
says how to repeat it without this program, which never picks a seed.

PATH is a bundle or a data directory; without it, --dir or the configuration
names the data directory. There, that a sample was drawn is itself recorded in
the ledger, also while an agent is at work. From a bundle nothing is recorded.

Populations: resources of a --kind, or that a --check judged, on a --date; or
slots of a --collector or --control, from --from to --to (both days included;
by default the period).

Exit code 3: the population is not complete. --incomplete draws all the same,
and sample.json says what is missing.`,
		Example: `  tallystick sample --kind aws.s3.bucket --date 2026-09-30 --seed "27 4 8 15" --size 25 --out sample
  tallystick sample bundle.tar.zst --check aws-s3-versioning --date 2026-09-30 --seed 7 --size 5 --out sample
  tallystick sample --population slots --control backup-storage --seed 7 --size 25 --out sample`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes at most one argument, a bundle or a data directory, got %d", cmd.CommandPath(), len(args))
			}
			return nil
		},
		ValidArgsFunction: completePath,
	}
	dir := dirFlags(cmd)
	output := outputFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.of.Population, "population", sampling.Resources, "resources or slots")
	flags.StringVar(&f.of.Kind, "kind", "", "resources of this kind, such as aws.s3.bucket")
	flags.StringVar(&f.of.Check, "check", "", "resources that this check judged")
	flags.StringVar(&f.of.Date, "date", "", "resources as they were seen by the end of this day, YYYY-MM-DD")
	flags.StringVar(&f.of.Collector, "collector", "", "slots of this collector")
	flags.StringVar(&f.of.Control, "control", "", "slots of every collector that supplies what this control reads")
	flags.StringVar(&f.of.First, "from", "", "first day, YYYY-MM-DD (default: of the period); older runs do not count")
	flags.StringVar(&f.of.Last, "to", "", "last day, YYYY-MM-DD (default: of the period)")
	flags.StringVar(&f.choice.Seed, "seed", "", "the auditor's seed: any text")
	flags.IntVar(&f.choice.Size, "size", 0, "how many to choose")
	flags.StringVar(&f.choice.Method, "method", sampling.Random, "random, systematic or all")
	flags.StringVar(&f.requested, "requested", "", "by whom, and for what")
	flags.StringVar(&f.out, "out", "", "the folder to make")
	flags.StringVar(&f.key, "signing-key", "", "signing key of the ledger (default: evidence.key of the configuration)")
	flags.BoolVar(&f.incomplete, "incomplete", false, "draw from a population that is not complete, and say so")
	cobra.CheckErr(cmd.MarkFlagRequired("out"))
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("method", cobra.FixedCompletions(sampling.Methods(), cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && *dir.dir != "" {
			return errors.New("name the data directory once: as an argument, or with --dir")
		}
		path := ""
		if len(args) == 1 {
			path = args[0]
		}
		err := f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), *output, path, dir)
		if _, ok := errors.AsType[*sampling.IncompleteError](err); ok {
			return exitError{exitGaps, err}
		}
		return err
	}
	return cmd
}

// run draws, pulls, records and puts the folder in its place, in this order:
// a sample that could not be recorded is not handed out.
func (f sampleFlags) run(ctx context.Context, out, notes io.Writer, as format, path string, dir dataDir) (err error) {
	if exists(f.out) {
		return fmt.Errorf("--out %s is there already: name a new folder", f.out)
	}
	var signer *seal.Signer // nil: nothing is recorded
	if path == "" || !isBundle(path) {
		if path == "" {
			if path, err = dir.path(); err != nil {
				return err
			}
		}
		if signer, err = f.signer(dir); err != nil {
			return err
		}
	}
	source, done, err := openSource(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	population, err := sampling.Freeze(ctx, source, f.of)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	drawn, err := sampling.Draw(population, f.choice, f.requested, f.incomplete)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(filepath.Clean(f.out)), ".tallystick-sample-")
	if err != nil {
		return fmt.Errorf("write sample: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }() // nothing is left of it in the end
	if err := drawn.Write(ctx, work, buildVersion()); err != nil {
		return err
	}
	document, err := drawn.Document()
	if err != nil {
		return err
	}
	var index *uint64
	if signer != nil {
		result, err := agent.Append(ctx, path, signer, program(), agent.AppendRequest{
			Type: evidence.TypeSample, Predicate: drawn.Record(),
			Payloads: []agent.AppendPayload{
				{Name: evidence.PayloadPopulation, Data: population.Data}, {Name: evidence.PayloadSample, Data: document},
			},
		})
		if err != nil {
			return fmt.Errorf("record the sample: %w", err)
		}
		index = &result.Index
		if err := os.WriteFile(filepath.Join(work, "sample.dsse.json"), result.Record, 0o640); err != nil { //nolint:gosec // G306: it is handed to the auditor
			return fmt.Errorf("write sample: %w", err)
		}
	}
	if err := errors.Join(os.Chmod(work, 0o750), os.Rename(work, f.out)); err != nil { //nolint:gosec // G302: a folder to hand on
		return fmt.Errorf("write sample: %w", err)
	}
	return f.tell(out, notes, as, drawn, document, index)
}

// signer gives the key to record with.
func (f sampleFlags) signer(dir dataDir) (*seal.Signer, error) {
	name := f.key
	if name == "" {
		file, err := readConfig(*dir.config)
		if err != nil {
			return nil, fmt.Errorf("find the signing key, to record that the sample was drawn (or name it with --signing-key): %w", err)
		}
		name = file.Config.Evidence.Key
	}
	return seal.LoadKey(name)
}

// openSource opens a bundle or a data directory for sampling.
func openSource(ctx context.Context, path string) (sampling.Source, func() error, error) {
	if isBundle(path) {
		b, err := bundle.Open(ctx, path, bundle.OpenOptions{})
		if err != nil {
			return sampling.Source{}, nil, err
		}
		return sampling.Source{
			Entries: b.Entries(), Payloads: b.Payloads(), From: b.Meta.From, To: b.Meta.To, AsOf: b.Meta.Kind != evidence.ExportPeriod,
		}, b.Close, nil
	}
	from, _, err := replay.Directory(path)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s: neither a bundle nor a data directory with a ledger", path)
	}
	return sampling.Source{Entries: from.Entries, Payloads: from.Payloads}, func() error { return nil }, err
}

func (f sampleFlags) tell(out, notes io.Writer, as format, drawn *sampling.Drawn, document []byte, index *uint64) error {
	p := drawn.Population
	for _, missing := range p.Incomplete {
		fmt.Fprintln(notes, "not complete: "+missing)
	}
	for _, note := range p.Notes {
		fmt.Fprintln(notes, "note: "+note)
	}
	var doc sampling.Document
	if err := json.Unmarshal(document, &doc); err != nil {
		return err
	}
	l := listing{header: []string{"number", "place", "folder", "item"}, value: struct {
		Out    string  `json:"out"`
		Record *uint64 `json:"record,omitempty"` // of the ledger
		sampling.Document
	}{f.out, index, doc}}
	for _, c := range doc.Chosen {
		l.rows = append(l.rows, []string{strconv.Itoa(c.Number), strconv.Itoa(c.Place), c.Folder, c.Line})
	}
	if err := l.write(out, as); err != nil || as != asTable {
		return err
	}
	recorded := "nothing was recorded: this is a bundle"
	if index != nil {
		recorded = fmt.Sprintf("recorded in the ledger as record %d", *index)
	}
	_, err := fmt.Fprintf(out, "\n%d of %d chosen, in %s; %s\nthe population has the SHA-256 %s\n", len(drawn.Places), len(p.Lines), f.out, recorded, p.Digest)
	if p.Simulated {
		warnSimulated(notes)
	}
	return err
}
