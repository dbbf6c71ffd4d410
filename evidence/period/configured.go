package period

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tallystick/tallystick/evidence"
)

// configured compares a Configuration of the window with the one before it.
func (d *differ) configured(index uint64, old, now *configured) error {
	say := func(c Change) error {
		c.At, c.Record = now.At, index
		return d.emit(c)
	}
	if err := say(Change{What: ChangeAgent, Subject: now.Event, To: encoded(now.Agent.Version)}); err != nil {
		return err
	}
	if old == nil {
		return nil
	}
	var changes []Change
	add := func(what, subject, field string, was, is any) *Change {
		from, to := encoded(was), encoded(is)
		if from == to {
			return &Change{}
		}
		changes = append(changes, Change{What: what, Subject: subject, Field: field, From: from, To: to})
		return &changes[len(changes)-1]
	}
	add(ChangeBinary, "tallystick", "version", old.Agent.Version, now.Agent.Version)
	add(ChangeBinary, "tallystick", "binary", old.Agent.Binary, now.Agent.Binary)
	add(ChangeConfig, "organization", "", old.Organization, now.Organization)
	add(ChangeConfig, "period", "start", old.PeriodStart, now.PeriodStart)
	add(ChangeConfig, "period", "end", old.PeriodEnd, now.PeriodEnd)
	for _, severity := range slices.Sorted(maps.Keys(union(old.limits, now.limits))) {
		add(ChangeParameter, "remediation_days", severity, present(old.limits, severity), present(now.limits, severity))
	}
	add(ChangeSchedule, "time_zone", "", old.schedule.TimeZone, now.schedule.TimeZone)
	d.schedules(old, now, add)
	d.scopes(old, now, add)
	changes = append(changes, catalogueChanges(old.catalogue, now.catalogue)...)
	add(ChangeConfig, "configuration.yaml", "sha256", old.file, now.file)
	for _, c := range changes {
		for _, d := range discovered(now, c) {
			c.Reason = strings.TrimPrefix(fmt.Sprintf("%s; by the organisation's own listing, record %d", c.Reason, d.Record), "; ")
		}
		if now.Event == evidence.EventManual {
			c.Reason = strings.TrimPrefix(c.Reason+"; for a run by hand: the schedule in force stays what it was", "; ")
		}
		if err := say(c); err != nil {
			return err
		}
	}
	return nil
}

// discovered gives the listings by which a change of scope came: those that
// differ from before in its very account or, where only listings changed, those of
// its provider. Another configuration may take force with a listing.
func discovered(now *configured, c Change) []evidence.Discovery {
	if c.What != ChangeScope {
		return nil
	}
	named := slices.DeleteFunc(slices.Clone(now.Discoveries), func(d evidence.Discovery) bool {
		return !slices.ContainsFunc(slices.Concat(d.Appeared, d.Vanished, d.Suspended), func(account string) bool {
			return c.Subject == evidence.Scope{Provider: d.Provider, Account: account}.String()
		})
	})
	if len(named) > 0 || now.Event != evidence.EventDiscovered {
		return named
	}
	return slices.DeleteFunc(slices.Clone(now.Discoveries), func(d evidence.Discovery) bool {
		return !strings.HasPrefix(c.Subject, d.Provider)
	})
}

func (d *differ) stopped(e evidence.Entry, p *evidence.Stop) error {
	return d.emit(Change{What: ChangeAgent, At: p.At, Subject: "stopped", Reason: p.Reason, Record: e.Index})
}

func present(m map[string]int, key string) any {
	if n, ok := m[key]; ok {
		return n
	}
	return nil
}

// encoded gives a value as JSON; nothing for nil and for empty text.
func encoded(v any) string {
	switch t := v.(type) {
	case nil:
		return ""
	case string:
		if t == "" {
			return ""
		}
	case evidence.Digest:
		if t == "" {
			return ""
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // a rule is full of < and &
	if err := encoder.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (d *differ) schedules(old, now *configured, add func(what, subject, field string, was, is any) *Change) {
	byName := func(s evidence.Schedule) map[string]evidence.CollectorSchedule {
		out := map[string]evidence.CollectorSchedule{}
		for _, c := range s.Collectors {
			out[c.Collector] = c
		}
		return out
	}
	was, is := byName(old.schedule), byName(now.schedule)
	for _, collector := range slices.Sorted(maps.Keys(union(was, is))) {
		a, before := was[collector]
		b, after := is[collector]
		switch {
		case before && after:
			add(ChangeSchedule, collector, "schedule", a.Schedule, b.Schedule)
			add(ChangeScope, collector, "kinds", a.Kinds, b.Kinds)
			add(ChangeScope, collector, "accounts", a.Accounts, b.Accounts)
		case before:
			add(ChangeScope, collector, "collector", a.Schedule, nil)
		default:
			add(ChangeScope, collector, "collector", nil, b.Schedule)
		}
	}
}

func (d *differ) scopes(old, now *configured, add func(what, subject, field string, was, is any) *Change) {
	for _, s := range now.schedule.Scopes {
		if !slices.Contains(old.schedule.Scopes, s) {
			add(ChangeScope, s.String(), "account", nil, s.Account)
		}
	}
	for _, s := range old.schedule.Scopes {
		if !slices.Contains(now.schedule.Scopes, s) {
			add(ChangeScope, s.String(), "account", s.Account, nil)
		}
	}
	wasLeft, isLeft := left(old.schedule), left(now.schedule)
	for _, scope := range slices.Sorted(maps.Keys(union(wasLeft, isLeft))) {
		c := add(ChangeScope, scope, "not_collected", why(wasLeft, scope), why(isLeft, scope))
		c.Approver, c.Reason = isLeft[scope].Approver, isLeft[scope].Reason
	}
	wasCentral, isCentral := central(old.schedule), central(now.schedule)
	for _, scope := range slices.Sorted(maps.Keys(union(wasCentral, isCentral))) {
		add(ChangeScope, scope, "central", value(wasCentral, scope), value(isCentral, scope))
	}
	for _, provider := range slices.Sorted(maps.Keys(union(old.schedule.Regions, now.schedule.Regions))) {
		add(ChangeScope, provider, "regions", value(old.schedule.Regions, provider), value(now.schedule.Regions, provider))
	}
}

// value gives what a map has for a key, or nil.
func value[V any](m map[string]V, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return nil
}

// left gives the scopes that are known and not looked at.
func left(s evidence.Schedule) map[string]evidence.NotCollected {
	out := make(map[string]evidence.NotCollected, len(s.NotCollected))
	for _, n := range s.NotCollected {
		out[n.Scope.String()] = n
	}
	return out
}

// why says why a scope is not looked at, or gives nil when it is.
func why(left map[string]evidence.NotCollected, scope string) any {
	n, ok := left[scope]
	switch {
	case !ok:
		return nil
	case n.Excluded:
		return "excluded: " + n.Reason + " (approved by " + n.Approver + ")"
	}
	return "state " + n.State
}

// central gives the scopes that answer for their organisation.
func central(s evidence.Schedule) map[string]bool {
	out := make(map[string]bool, len(s.Central))
	for _, scope := range s.Central {
		out[scope.String()] = true
	}
	return out
}

// catalogueChanges compares two catalogues, part by part.
func catalogueChanges(old, now *catalogue) []Change {
	if old.digest == now.digest {
		return nil
	}
	var out []Change
	all := maps.Clone(old.raw)
	maps.Copy(all, now.raw)
	for _, part := range slices.Sorted(maps.Keys(all)) {
		was, before := old.raw[part]
		is, after := now.raw[part]
		_, subject, _ := strings.Cut(part, " ")
		switch {
		case !before:
			out = append(out, Change{What: ChangeCatalogue, Subject: subject, Field: strings.SplitN(part, " ", 2)[0], To: encoded(is["title"])})
		case !after:
			out = append(out, Change{What: ChangeCatalogue, Subject: subject, Field: strings.SplitN(part, " ", 2)[0], From: encoded(was["title"])})
		default:
			out = append(out, partChanges(subject, was, is)...)
		}
	}
	return out
}

func partChanges(subject string, was, is map[string]any) []Change {
	var out []Change
	a, b := object(was["parameters"]), object(is["parameters"])
	for _, name := range slices.Sorted(maps.Keys(union(a, b))) {
		p, q := object(a[name]), object(b[name])
		from, to := encoded(effective(p)), encoded(effective(q))
		if from == to && encoded(p) == encoded(q) {
			continue
		}
		if from == to { // of the value's, by whom and why, or of what it overrides
			from, to = encoded(a[name]), encoded(b[name])
		}
		c := Change{What: ChangeParameter, Subject: subject, Field: name, From: from, To: to}
		if o := object(q["override"]); o != nil {
			c.Owner, c.Approver, c.Reason = text(o["owner"]), text(o["approver"]), text(o["reason"])
		}
		out = append(out, c)
	}
	for _, field := range slices.Sorted(maps.Keys(union(was, is))) {
		if from, to := encoded(was[field]), encoded(is[field]); field != "parameters" && from != to {
			out = append(out, Change{What: ChangeCatalogue, Subject: subject, Field: field, From: from, To: to})
		}
	}
	return out
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// effective gives the value of a parameter that is in force.
func effective(p map[string]any) any {
	if o := object(p["override"]); o != nil {
		return o["value"]
	}
	return p["default"]
}

// number gives a count as a cell.
func number[N ~int | ~int64 | ~uint64](n N) string { return strconv.FormatInt(int64(n), 10) }
