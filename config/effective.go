package config

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Effective gives the configuration as a file in which every key that has a
// value is written out, references are replaced by their values and paths are
// as they were resolved. Reading it back gives the same configuration.
func (c Config) Effective() ([]byte, error) {
	var b strings.Builder
	if err := write(&b, reflect.ValueOf(c), ""); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return []byte(strings.TrimPrefix(b.String(), "\n")), nil
}

// write appends a value to "key:" or "-": a scalar on the same line, the rest
// on lines of its own.
func write(b *strings.Builder, v reflect.Value, indent string) error {
	if regions, ok := reflect.TypeAssert[Regions](v); ok {
		if regions.Enabled() {
			b.WriteString(" enabled\n")
			return nil
		}
		return write(b, reflect.ValueOf(regions.Names), indent)
	}
	switch v.Kind() {
	case reflect.Struct:
		b.WriteString("\n")
		for i := range v.NumField() {
			if err := writeEntry(b, v.Type().Field(i).Tag.Get("yaml"), v.Field(i), indent); err != nil {
				return err
			}
		}
	case reflect.Map:
		b.WriteString("\n")
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			if err := writeEntry(b, key.String(), v.MapIndex(key), indent); err != nil {
				return err
			}
		}
	case reflect.Slice:
		if v.Len() == 0 {
			b.WriteString(" []\n")
			return nil
		}
		b.WriteString("\n")
		for i := range v.Len() {
			var item strings.Builder
			if err := write(&item, v.Index(i), indent+"  "); err != nil {
				return err
			}
			// The first key of a mapping stands beside the dash.
			b.WriteString(indent + "-" + strings.Replace(item.String(), "\n"+indent+"  ", " ", 1))
		}
	case reflect.Interface:
		// The value of a parameter keeps its type: 1.0 is not a whole number.
		if f, ok := reflect.TypeAssert[float64](v); ok && f == math.Trunc(f) {
			fmt.Fprintf(b, " %.1f\n", f)
			return nil
		}
		return write(b, v.Elem(), indent)
	default:
		return writeScalar(b, v)
	}
	return nil
}

// writeEntry writes a key with its value, unless there is none: the key was
// not set, and has no default.
func writeEntry(b *strings.Builder, key string, v reflect.Value, indent string) error {
	if (v.Kind() == reflect.String || v.Kind() == reflect.Slice) && v.Len() == 0 {
		return nil
	}
	var value strings.Builder
	if err := write(&value, v, indent+"  "); err != nil {
		return err
	}
	if value.String() == "\n" {
		return nil
	}
	name, err := quote(key, true)
	if err != nil {
		return err
	}
	b.WriteString(indent + name + ":" + value.String())
	return nil
}

func writeScalar(b *strings.Builder, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		s, err := quote(v.String(), false)
		if err != nil {
			return err
		}
		b.WriteString(" " + s)
	case reflect.Bool:
		b.WriteString(" " + strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int64:
		b.WriteString(" " + strconv.FormatInt(v.Int(), 10))
	case reflect.Float64:
		b.WriteString(" " + strconv.FormatFloat(v.Float(), 'f', -1, 64))
	default:
		return fmt.Errorf("value of type %s", v.Type())
	}
	b.WriteString("\n")
	return nil
}

// quote writes text bare if it can not be taken for anything else, otherwise in
// double quotes, which YAML takes from JSON. Keys have no references to escape.
func quote(s string, key bool) (string, error) {
	bare := regexp.MustCompile(`^[a-z/][A-Za-z0-9_./-]*$`)
	if bare.MatchString(s) && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, s) {
		return s, nil
	}
	if !key {
		s = strings.ReplaceAll(s, "${", "$${")
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return "", err
	}
	// JSON leaves DEL alone; the reader takes no control character as it is.
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`), nil
}
