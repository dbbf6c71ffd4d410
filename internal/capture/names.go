package capture

import (
	"slices"
	"strings"
)

// secretNames are the fields that hold credentials in answers and requests of
// AWS STS, SSO and Cognito and of Google's token endpoints (RFC 6749, RFC 7523,
// RFC 8693) and IAM keys, in lower case. Paging tokens are not among them: the
// client needs them as they are.
var secretNames = []string{
	"secretaccesskey", "secret_access_key", "sessiontoken", "session_token",
	"samlassertion", "webidentitytoken",
	"access_token", "accesstoken", "id_token", "idtoken", "refresh_token", "refreshtoken",
	"client_secret", "clientsecret", "assertion", "client_assertion", "subject_token", "actor_token",
	"private_key", "privatekeydata",
}

// companionNames are part of a credential beside one of secretNames and
// harmless elsewhere: ListAccessKeys answers AccessKeyId too.
var companionNames = []string{"accesskeyid", "access_key_id", "secretkey", "token"}

type class int

const (
	plain class = iota
	companion
	credential
	sensitive
)

// names classifies field names in any letter case of ASCII.
type names struct {
	of map[string]field
	// firsts has, for each length, the first letters of the names of that
	// length, so that most names are told apart without looking them up.
	firsts [maxName + 1]uint32
}

// field is what is known of one name.
type field struct {
	class class // wherever it occurs
	// under holds, for each declared path that ends in the name, the names
	// before it, outermost first: within these the field is sensitive.
	under [][]string
}

const maxName = 64

// newNames takes names and paths of names joined by dots. A dot that belongs to a
// name has a backslash before it. Names in a path that are empty do not count.
func newNames(declared []string) *names {
	n := &names{of: map[string]field{}}
	for _, list := range []struct {
		class class
		paths []string
	}{{companion, companionNames}, {credential, secretNames}, {sensitive, declared}} {
		for _, path := range list.paths {
			n.add(path, list.class)
		}
	}
	return n
}

func (n *names) add(path string, c class) {
	const dot = "\x00" // stands for a dot of a name
	steps := strings.FieldsFunc(strings.ReplaceAll(path, `\.`, dot), func(r rune) bool { return r == '.' })
	if len(steps) == 0 {
		return
	}
	for i, step := range steps {
		steps[i] = string(lower([]byte(strings.ReplaceAll(step, dot, "."))))
	}
	name, under := steps[len(steps)-1], steps[:len(steps)-1]
	f := n.of[name]
	if len(under) == 0 {
		f.class = c
	} else {
		f.under = append(f.under, under)
	}
	n.of[name] = f
	n.firsts[min(len(name), maxName)] |= letter(name[0])
}

// letter gives one bit, the same for both cases of a letter.
func letter(c byte) uint32 { return 1 << (c & 31) }

// class says what a field of that name may hold, wherever it is: the last name
// of a path stands for the whole path.
func (n *names) class(name []byte) class {
	return n.classUnder(name, func([]string) bool { return true })
}

// classUnder says what a field of that name holds. within says whether the
// innermost of the names that enclose it are these.
func (n *names) classUnder(name []byte, within func([]string) bool) class {
	if len(name) == 0 || n.firsts[min(len(name), maxName)]&letter(name[0]) == 0 {
		return plain
	}
	var short [maxName]byte
	f := n.of[string(lower(append(short[:0], name...)))]
	if f.class != credential && slices.ContainsFunc(f.under, within) {
		return sensitive
	}
	return f.class
}

// lower changes ASCII letters to lower case, in place.
func lower(b []byte) []byte {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
