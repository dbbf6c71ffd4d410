package capture

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// line describes a request for a person.
func (i identity) line(operation string) string {
	const most = 300
	parts := []string{i.method, i.url}
	if operation != "" {
		parts = append(parts, "("+operation+")")
	}
	if i.target != "" {
		parts = append(parts, "X-Amz-Target: "+i.target)
	}
	if body := i.body; body != "" {
		if len(body) > most {
			body = body[:most] + "…"
		}
		parts = append(parts, "body "+strconv.Quote(body))
	}
	return strings.Join(parts, " ")
}

// nearest gives the recorded requests that are most like one that is not
// recorded, best first.
func (r *Replayer) nearest(id identity, l Labels) []string {
	type candidate struct {
		line  string
		score int
	}
	var found []candidate
	for _, queues := range r.queues {
		for _, q := range queues {
			c := candidate{line: q.identity.line(q.operation)}
			host, path, _ := strings.Cut(id.url, "/")
			qhost, qpath, _ := strings.Cut(q.identity.url, "/")
			for _, same := range []struct {
				is     bool
				points int
			}{
				{l.Operation != "" && strings.EqualFold(l.Operation, q.operation), 400},
				{id.target != "" && id.target == q.identity.target, 400},
				{host == qhost, 200},
				{path == qpath, 100},
				{id.method == q.identity.method, 50},
			} {
				if same.is {
					c.score += same.points
				}
			}
			c.score += min(common(id.body, q.identity.body), 40) + min(common(path, qpath), 40)
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(b.score-a.score, strings.Compare(a.line, b.line))
	})
	var lines []string
	for _, c := range found[:min(3, len(found))] {
		lines = append(lines, c.line)
	}
	return lines
}

// common gives the length of the common prefix.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
