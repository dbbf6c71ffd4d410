package period

import "github.com/tallystick/tallystick/evidence"

// Needs says whether an extract about the window holds the payloads of a record
// that belongs to it. In a window about some controls, those of tasks and
// assessments that no such control reads stay behind. All Configurations must
// have been taken in before. What an Export vouches for is a bundle, which is
// no payload of the evidence.
func (f *Fold) Needs(e evidence.Entry) bool {
	switch p := e.Predicate.(type) {
	case *evidence.Export:
		return false
	case *evidence.Run:
		return f.concerned(f.kinds[p.Collector])
	case *evidence.Assessment:
		if len(f.w.Controls) == 0 {
			return true
		}
		for _, c := range p.Checks {
			for _, known := range f.catalogues {
				if _, ok := known.checks[c.Check]; ok {
					return true
				}
			}
		}
		return false
	}
	return true
}
