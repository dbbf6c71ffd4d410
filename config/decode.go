package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decode puts a tree into a value of the configuration. What the tree does not
// set keeps its value; a list is replaced as a whole, a map key by key.
func (r *reader) decode(n *node, path string, into reflect.Value) {
	r.places[path] = n.pos
	if n.reference() {
		r.written[path] = n.raw
	}
	if r.spoilt[path] {
		return
	}
	if n.kind == nothing {
		r.spoil(n.pos, path, "there is no value; write one, or remove the key")
		return
	}
	if regions, ok := reflect.TypeAssert[*Regions](into.Addr()); ok {
		r.decodeRegions(n, path, regions)
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		r.decodeStruct(n, path, into)
	case reflect.Map:
		r.decodeMap(n, path, into)
	case reflect.Slice:
		r.decodeList(n, path, into)
	case reflect.Interface:
		if v := r.free(n, path); v != nil {
			into.Set(reflect.ValueOf(v))
		}
	case reflect.String:
		if r.wants(n, path, text) {
			into.SetString(n.value)
		}
	case reflect.Int:
		if r.wants(n, path, integer) {
			v, err := strconv.Atoi(n.value)
			if err != nil {
				r.spoil(n.pos, path, "%s is not a whole number in decimal digits", r.show(path, n.value))
			}
			into.SetInt(int64(v))
		}
	case reflect.Float64:
		if r.wants(n, path, number) {
			v, err := strconv.ParseFloat(n.value, 64)
			if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
				r.spoil(n.pos, path, "%s is not a number in decimal digits", r.show(path, n.value))
			}
			into.SetFloat(v)
		}
	default:
		panic(fmt.Sprintf("config: the struct tree has a %s, which nothing reads", into.Type()))
	}
}

// wants reports a node that is not of the kind. A whole number will do for a
// number, and a text from the environment for anything that is not text. Bare
// digits are no text, although YAML takes some for it (089012345678): other
// readers would make a number of them.
func (r *reader) wants(n *node, path string, want kind) bool {
	switch {
	case want == text && n.kind == text && !n.quoted && !n.reference() && digits(n.raw):
		r.spoil(n.pos, path, "%s looks like a number; put it in quotes", n.raw)
		return false
	case n.kind == want,
		want == number && n.kind == integer,
		n.kind == text && n.reference() && !n.quoted && want <= number:
		return true
	case want == text && n.kind <= number && path != "":
		r.spoil(n.pos, path, "YAML reads %s as %s; put it in quotes", n.raw, n.kind)
	case n.kind == text && n.quoted && want <= number:
		r.spoil(n.pos, path, "this must be %s; remove the quotes", want)
	case path == "":
		r.spoil(n.pos, path, "the file must be %s of keys such as organization, not %s", want, n.kind)
	default:
		r.spoil(n.pos, path, "this must be %s, not %s", want, n.kind)
	}
	return false
}

func (r *reader) decodeStruct(n *node, path string, into reflect.Value) {
	if !r.wants(n, path, mapping) {
		return
	}
	fields := make(map[string]reflect.Value)
	var names []string
	for i := range into.NumField() {
		name := into.Type().Field(i).Tag.Get("yaml")
		names = append(names, name)
		fields[name] = into.Field(i)
	}
	for _, e := range n.entries {
		key := join(path, e.key)
		r.keys[key] = e.pos
		field, ok := fields[e.key]
		if ok {
			r.decode(e.value, key, field)
			continue
		}
		r.report(e.pos, key, "unknown key%s", suggest(e.key, names))
		if meant := nearest(e.key, names); meant != "" {
			r.spoilt[join(path, meant)] = true // do not ask for it as well
		}
	}
}

func (r *reader) decodeMap(n *node, path string, into reflect.Value) {
	if !r.wants(n, path, mapping) {
		return
	}
	if into.IsNil() {
		into.Set(reflect.MakeMap(into.Type()))
	}
	for _, e := range n.entries {
		key := join(path, e.key)
		r.keys[key] = e.pos
		value := reflect.New(into.Type().Elem()).Elem()
		r.decode(e.value, key, value)
		into.SetMapIndex(reflect.ValueOf(e.key), value)
	}
}

func (r *reader) decodeList(n *node, path string, into reflect.Value) {
	if !r.wants(n, path, list) {
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		key := path + "[" + strconv.Itoa(i) + "]"
		r.keys[key] = item.pos
		r.decode(item, key, into.Index(i))
	}
}

// decodeRegions reads "enabled" or a list of names.
func (r *reader) decodeRegions(n *node, path string, into *Regions) {
	switch {
	case n.kind == text && n.value == "enabled":
		into.Names = nil
	case n.kind == list && len(n.items) > 0:
		r.decodeList(n, path, reflect.ValueOf(&into.Names).Elem())
		if i := slices.Index(into.Names, "enabled"); i >= 0 {
			r.spoil(n.items[i].pos, path, "enabled is not a region; write regions: enabled, without brackets, for all of them")
		}
	default:
		r.spoil(n.pos, path, "this must be a list of regions such as [eu-west-1], or enabled for all that the account has enabled")
	}
}

// free reads the value of a parameter, whose type its check knows.
func (r *reader) free(n *node, path string) any {
	switch n.kind {
	case text:
		return n.value
	case boolean:
		return strings.EqualFold(n.value, "true")
	case integer:
		v, err := strconv.ParseInt(n.value, 10, 64)
		if err != nil {
			r.spoil(n.pos, path, "%s is not a whole number in decimal digits", n.value)
		}
		return v
	case number:
		v, err := strconv.ParseFloat(n.value, 64)
		if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
			r.spoil(n.pos, path, "%s is not a number in decimal digits", n.value)
		}
		return v
	case list:
		values := []any{}
		for i, item := range n.items {
			if item.kind == list {
				r.spoil(item.pos, path, "a list may hold text, numbers, true and false, but no lists")
				return nil
			}
			key := path + "[" + strconv.Itoa(i) + "]"
			r.places[key] = item.pos
			values = append(values, r.free(item, key))
		}
		return values
	default:
		r.spoil(n.pos, path, "this must be text, a number, true or false, or a list of these, not %s", n.kind)
		return nil
	}
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
