package capture

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The forms of a timestamp under _moving, by prefix. Without one it is RFC
// 3339, as it stands in the body.
const (
	movingEpoch  = "epoch:"  // a number of seconds, with or without a fraction: AWS JSON protocols
	movingBase64 = "base64:" // RFC 3339 within text that the body holds as Base64: IAM credential reports
)

// move shifts literal timestamps of a body by d, to the whole second. Each
// keeps its textual form: fraction, offset and length stay. A timestamp that
// the body does not hold is an error: the fixture does not say what its author
// meant.
func move(body []byte, moving []string, d time.Duration) ([]byte, error) {
	// Every literal is looked for in the body as it was, so that one that has
	// moved is not moved again by another.
	shifted := make(map[string]string, len(moving))
	var plain, inBase64 []string
	for _, m := range moving {
		literal, to, err := shift(m, d.Truncate(time.Second))
		if err != nil {
			return nil, err
		}
		shifted[literal] = to
		if strings.HasPrefix(m, movingBase64) {
			inBase64 = append(inBase64, literal)
		} else {
			plain = append(plain, literal)
		}
	}
	if len(plain) > 0 {
		moved, err := replaceAll(body, plain, shifted)
		if err != nil {
			return nil, err
		}
		body = moved
	}
	if len(inBase64) > 0 {
		return moveBase64(body, inBase64, shifted)
	}
	return body, nil
}

// shift gives a literal as it stands in the body, and as it stands d later.
func shift(m string, d time.Duration) (literal, to string, err error) {
	if literal, ok := strings.CutPrefix(m, movingEpoch); ok {
		whole, fraction, dot := strings.Cut(literal, ".")
		seconds, err := strconv.ParseInt(whole, 10, 64)
		if err != nil {
			return "", "", fmt.Errorf("_moving %q: %w", m, err)
		}
		to := strconv.FormatInt(seconds+int64(d/time.Second), 10)
		if dot {
			to += "." + fraction
		}
		return literal, to, nil
	}
	literal = strings.TrimPrefix(m, movingBase64)
	t, err := time.Parse(time.RFC3339Nano, literal)
	if err != nil {
		return "", "", fmt.Errorf("_moving %q: not RFC 3339, %sSECONDS or %sRFC 3339", m, movingEpoch, movingBase64)
	}
	// 2006-01-02T15:04:05 is 19 characters; what follows does not change.
	return literal, t.Add(d).Format("2006-01-02T15:04:05") + literal[len("2006-01-02T15:04:05"):], nil
}

// replaceAll replaces each literal. One that is part of a longer number or
// time does not count.
func replaceAll(body []byte, literals []string, shifted map[string]string) ([]byte, error) {
	quoted := make([]string, len(literals))
	for i, l := range literals {
		quoted[i] = regexp.QuoteMeta(l)
	}
	p, err := regexp.Compile(`[0-9.]*(?:` + strings.Join(quoted, "|") + `)[0-9.]*`)
	if err != nil {
		return nil, fmt.Errorf("_moving: %w", err)
	}
	found := map[string]bool{}
	body = p.ReplaceAllFunc(body, func(m []byte) []byte {
		to, ok := shifted[string(m)]
		if !ok {
			return m
		}
		found[string(m)] = true
		return []byte(to)
	})
	for _, l := range literals {
		if !found[l] {
			return nil, fmt.Errorf("_moving %q: the body does not hold it", l)
		}
	}
	return body, nil
}

var base64Run = regexp.MustCompile(`[A-Za-z0-9+/]{24,}={0,2}`)

// moveBase64 replaces literals within each run of Base64 that holds any.
func moveBase64(body []byte, literals []string, shifted map[string]string) ([]byte, error) {
	var failed error
	moved := 0
	body = base64Run.ReplaceAllFunc(body, func(run []byte) []byte {
		text, err := base64.StdEncoding.DecodeString(string(run))
		if err != nil || !bytes.Contains(text, []byte(literals[0])) {
			return run
		}
		out, err := replaceAll(text, literals, shifted)
		if err != nil {
			failed = err
			return run
		}
		moved++
		return []byte(base64.StdEncoding.EncodeToString(out))
	})
	if failed == nil && moved == 0 {
		failed = fmt.Errorf("_moving %q: no Base64 text of the body holds it", movingBase64+literals[0])
	}
	return body, failed
}
