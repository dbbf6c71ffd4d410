package sample

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tallystick/tallystick/evidence"
)

// The methods.
const (
	Random     = "random"
	Systematic = "systematic"
	All        = "all"
)

// Methods lists every method.
func Methods() []string { return []string{Random, Systematic, All} }

// Choice says how many of a population are chosen, and how.
type Choice struct {
	Seed   string // the auditor's; empty only for All
	Method string
	Size   int // 0 only for All
}

// maxSeed bounds the seed, which is kept in a record.
const maxSeed = 1 << 10

func (c Choice) check(population int) error {
	unseen := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case !slices.Contains(Methods(), c.Method):
		return fmt.Errorf("there is no method %q: use %s", c.Method, strings.Join(Methods(), ", "))
	case c.Method == All && (c.Size != 0 && c.Size != population || c.Seed != ""):
		return errors.New("method all takes everything: give it no size and no seed")
	case c.Method == All:
		return nil
	case c.Seed == "":
		return errors.New("there is no seed: the auditor chooses one, such as today's lottery numbers, after the population is known; this program never does")
	case len(c.Seed) > maxSeed || !utf8.ValidString(c.Seed) || strings.ContainsFunc(c.Seed, unseen) || strings.TrimSpace(c.Seed) != c.Seed:
		return fmt.Errorf("a seed is at most %d bytes of printable text that neither begins nor ends with a space", maxSeed)
	case c.Size < 1:
		return errors.New("there is no size: how many items are to be chosen")
	case c.Size > population:
		return fmt.Errorf("%d items can not be chosen from a population of %d: choose fewer, or use method all", c.Size, population)
	}
	return nil
}

// Choose gives the places in lines of what is chosen, in the order of the
// choice. The lines must be sorted bytewise, and digest must be that of the
// population. docs/formats/sample.md describes the same for any language.
func Choose(c Choice, digest evidence.Digest, lines []string) ([]int, error) {
	if err := c.check(len(lines)); err != nil {
		return nil, err
	}
	switch c.Method {
	case All:
		return upTo(len(lines)), nil
	case Systematic:
		return systematic(c, digest, len(lines)), nil
	}
	keys := make([][sha256.Size]byte, len(lines))
	for i, line := range lines {
		keys[i] = sha256.Sum256([]byte(c.Seed + "\n" + string(digest) + "\n" + line))
	}
	order := upTo(len(lines))
	slices.SortStableFunc(order, func(a, b int) int { return bytes.Compare(keys[a][:], keys[b][:]) })
	return order[:c.Size], nil
}

// systematic takes items at even distances, from a start anywhere in the
// population, and goes on at its beginning when it has come to the end: each
// item is as likely as any other, the last ones too, whatever the size.
func systematic(c Choice, digest evidence.Digest, population int) []int {
	sum := sha256.Sum256([]byte(c.Seed + "\n" + string(digest)))
	n, size := uint64(population), uint64(c.Size) //nolint:gosec // G115: both are counts
	start := binary.BigEndian.Uint64(sum[:8]) % n // a bias below n/2^64
	out := make([]int, c.Size)
	for i := range out {
		high, low := bits.Mul64(uint64(i), n)
		step, _ := bits.Div64(high, low, size) // floor(i*n/size) < n
		out[i] = int((start + step) % n)       //nolint:gosec // G115: below population
	}
	return out
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
