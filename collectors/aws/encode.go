package aws

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// encodeAnswer encodes an operation's output, with the document that it was
// read from.
func encodeAnswer(out any, body []byte) (any, bool) {
	v := reflect.ValueOf(out)
	return encode(v, vouching(v, body))
}

// vouching gives the document that an output was read from. It is parsed only
// where it is needed to vouch for a value, since most answers need none.
func vouching(v reflect.Value, body []byte) *node {
	if !doubtful(v) {
		return nil
	}
	return parse(body)
}

// doubtful says whether v holds a plain scalar with its zero value, of which
// the SDK's structs can not tell whether it was sent.
func doubtful(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && v.Elem().Kind() == reflect.Struct && doubtful(v.Elem())
	case reflect.Interface:
		return !v.IsNil() && doubtful(v.Elem())
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k != reflect.Struct && k != reflect.Pointer && k != reflect.Interface {
			return false
		}
		for i := range v.Len() {
			if doubtful(v.Index(i)) {
				return true
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if value := it.Value(); value.Kind() == reflect.Struct && doubtful(value) {
				return true
			}
		}
	case reflect.Struct:
		t := v.Type()
		for i := range v.NumField() {
			field := t.Field(i)
			if !field.IsExported() || field.Name == "ResultMetadata" {
				continue
			}
			if value := v.Field(i); isScalar(value.Kind()) && value.IsZero() || doubtful(value) {
				return true
			}
		}
	default: // strings and whatever else can not be in doubt
	}
	return false
}

// encode turns an SDK value into plain JSON values under the API reference's
// own field names: absent fields stay absent, times are RFC 3339, bytes are
// base64.
//
// The SDK's structs cannot always tell "false" from "not sent": some scalars
// are not pointers. Such a field with its zero value is kept only when the
// received document has it, so nothing is invented. received is the matching
// place in that document, or nil when there is none. An empty enumeration is
// no value of it, and is left out.
func encode(v reflect.Value, received *node) (any, bool) {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return nil, false
		}
		if name, value, ok := unionMember(v); ok {
			e, _ := encode(value, received.field(name))
			return map[string]any{name: e}, true
		}
		return encode(v.Elem(), received)
	case reflect.Pointer:
		if v.IsNil() {
			return nil, false
		}
		return encode(v.Elem(), received)
	case reflect.Struct:
		if t, ok := reflect.TypeAssert[time.Time](v); ok {
			return t.UTC().Format(time.RFC3339Nano), true
		}
		return encodeStruct(v, received), true
	case reflect.Slice:
		if v.IsNil() {
			return nil, false
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return base64.StdEncoding.EncodeToString(v.Bytes()), true
		}
		out := make([]any, 0, v.Len())
		for i := range v.Len() {
			e, _ := encode(v.Index(i), received.item(i))
			out = append(out, e)
		}
		return out, true
	case reflect.Map:
		if v.IsNil() {
			return nil, false
		}
		out := make(map[string]any, v.Len())
		for it := v.MapRange(); it.Next(); {
			e, _ := encode(it.Value(), received.field(it.Key().String()))
			out[it.Key().String()] = e
		}
		return out, true
	case reflect.String:
		return v.String(), true
	case reflect.Bool:
		return v.Bool(), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), true
	case reflect.Float32, reflect.Float64:
		return v.Float(), true
	default:
		// No SDK output holds another kind; a new one must be noticed.
		return fmt.Sprintf("unsupported value of type %s", v.Type()), true
	}
}

func encodeStruct(v reflect.Value, received *node) map[string]any {
	out := make(map[string]any)
	t := v.Type()
	for i := range v.NumField() {
		field := t.Field(i)
		if !field.IsExported() || field.Name == "ResultMetadata" {
			continue
		}
		if e, ok := encodeField(v.Field(i), received.field(field.Name)); ok {
			out[field.Name] = e
		}
	}
	return out
}

// encodeField gives false for what was not sent.
func encodeField(v reflect.Value, received *node) (any, bool) {
	if v.Kind() == reflect.String && v.Len() == 0 {
		return nil, false
	}
	if received == nil && isScalar(v.Kind()) && v.IsZero() {
		return nil, false
	}
	return encode(v, received)
}

// unionMember gives the one member that a union of the API holds. The SDK makes
// an interface of the union MemberId, and of its member UserId the struct
// MemberIdMemberUserId, which holds the value.
// Source: AWS SDK for Go v2 developer guide, union types.
func unionMember(v reflect.Value) (name string, value reflect.Value, ok bool) {
	member := v.Elem()
	if member.Kind() != reflect.Pointer || member.IsNil() || member.Elem().Kind() != reflect.Struct {
		return "", reflect.Value{}, false
	}
	name, ok = strings.CutPrefix(member.Elem().Type().Name(), v.Type().Name()+"Member")
	value = member.Elem().FieldByName("Value")
	return name, value, ok && value.IsValid()
}

// isScalar does not count strings: a plain string is an enumeration.
func isScalar(k reflect.Kind) bool {
	switch k {
	case reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return true
	default:
		return false
	}
}
