package bundle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"strings"
)

// What the names of a bundle may be. A payload's has 3 parts and 80 bytes.
const (
	maxNameBytes = 512
	maxDepth     = 16
	maxFiles     = 5_000_000
	maxDirs      = 100_000
)

// checkName says why a name cannot be in a bundle, or nil. The names that pass
// mean one and the same file on Linux, macOS and Windows: printable ASCII, so
// that no two differ by Unicode normalisation only, and none of the characters
// and endings that Windows reads as something else.
func checkName(name string) error {
	if name == "" {
		return errors.New("it is empty")
	}
	if len(name) > maxNameBytes {
		return fmt.Errorf("it has %d bytes, at most %d are allowed", len(name), maxNameBytes)
	}
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' || strings.IndexByte(`\:*?"<>|`, c) >= 0 {
			return fmt.Errorf("it holds the character %q", c)
		}
	}
	if name[0] == '/' {
		return errors.New("it is absolute")
	}
	if path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../") {
		return errors.New("it is not a clean relative path")
	}
	if n := strings.Count(name, "/"); n >= maxDepth {
		return fmt.Errorf("it lies %d directories deep, at most %d are allowed", n, maxDepth-1)
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || part[0] == ' ' {
			return fmt.Errorf("its part %q begins with a space, or ends with a space or a dot", part)
		}
		if device(part) {
			return fmt.Errorf("its part %q is the name of a device on Windows", part)
		}
	}
	return nil
}

// device says whether Windows reads a file name as a device.
// Source: Microsoft, "Naming Files, Paths, and Namespaces".
func device(part string) bool {
	base, _, _ := strings.Cut(strings.ToLower(part), ".")
	switch base {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	return len(base) == 4 && (base[:3] == "com" || base[:3] == "lpt") && '0' <= base[3] && base[3] <= '9'
}

// names is the set of the files of a bundle. It refuses names that are not
// clean, that are there already, also when only case tells them apart, and that
// would need a file to be a directory too.
type names struct {
	files map[[16]byte]struct{} // by a hash of the lower-case name, to be small
	dirs  map[string]string     // lower-case name → name
}

func newNames() *names {
	return &names{files: map[[16]byte]struct{}{}, dirs: map[string]string{}}
}

func (n *names) key(lower string) [16]byte {
	h := sha256.Sum256([]byte(lower))
	return [16]byte(h[:16])
}

// add takes a file in, or says why not, with its name.
func (n *names) add(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("name %q: %w", name, err)
	}
	lower := strings.ToLower(name)
	key := n.key(lower)
	if _, ok := n.files[key]; ok {
		return fmt.Errorf("name %q: it is there twice, perhaps in another case", name)
	}
	if _, ok := n.dirs[lower]; ok {
		return fmt.Errorf("name %q: it is a directory too", name)
	}
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		if spelled, ok := n.dirs[lower[:i]]; ok {
			if spelled != name[:i] {
				return fmt.Errorf("name %q: its directory is also spelled %q", name, spelled)
			}
			continue
		}
		if _, ok := n.files[n.key(lower[:i])]; ok {
			return fmt.Errorf("name %q: %q is a file, so it cannot be a directory", name, name[:i])
		}
		if len(n.dirs) >= maxDirs {
			return fmt.Errorf("name %q: more than %d directories", name, maxDirs)
		}
		n.dirs[lower[:i]] = name[:i]
	}
	if len(n.files) >= maxFiles {
		return fmt.Errorf("name %q: more than %d files", name, maxFiles)
	}
	n.files[key] = struct{}{}
	return nil
}
