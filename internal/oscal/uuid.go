package oscal

import (
	"crypto/sha1" //nolint:gosec // G505: RFC 9562 section 5.5 asks for SHA-1; it names things here and protects nothing
	"encoding/binary"
	"fmt"
	"io"
)

// uuid is a UUID as 16 bytes.
type uuid [16]byte

// newUUID makes a version 5 UUID of parts, each preceded by its length, so that
// no two lists of parts are the same name.
// Source: RFC 9562 section 5.5.
func newUUID(parts ...string) uuid {
	name := make([]byte, 0, 128)
	for _, p := range parts {
		name = binary.BigEndian.AppendUint64(name, uint64(len(p)))
		name = append(name, p...)
	}
	// The namespace of this format is itself the version 5 UUID of its URL in
	// the namespace of URLs (RFC 9562 section 6.6).
	urls := uuid{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	return version5(version5(urls, Namespace), string(name))
}

func version5(namespace uuid, name string) (u uuid) {
	h := sha1.New() //nolint:gosec // G401: as above
	h.Write(namespace[:])
	_, _ = io.WriteString(h, name) // a hash never fails
	copy(u[:], h.Sum(nil))
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u
}

func (u uuid) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
