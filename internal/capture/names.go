package capture

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
	of map[string]class
	// firsts has, for each length, the first letters of the names of that
	// length, so that most names are told apart without looking them up.
	firsts [maxName + 1]uint32
}

const maxName = 64

func newNames(declared []string) *names {
	n := &names{of: map[string]class{}}
	for _, list := range []struct {
		class class
		names []string
	}{{companion, companionNames}, {credential, secretNames}, {sensitive, declared}} {
		for _, name := range list.names {
			if name == "" {
				continue
			}
			n.of[string(lower([]byte(name)))] = list.class
			n.firsts[min(len(name), maxName)] |= letter(name[0])
		}
	}
	return n
}

// letter gives one bit, the same for both cases of a letter.
func letter(c byte) uint32 { return 1 << (c & 31) }

// class says what a field of that name holds.
func (n *names) class(name []byte) class {
	if len(name) == 0 || n.firsts[min(len(name), maxName)]&letter(name[0]) == 0 {
		return plain
	}
	var short [maxName]byte
	return n.of[string(lower(append(short[:0], name...)))]
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
