package aws

import "context"

// observeRegion emits the region itself as the one resource of kind. It is
// known without a call that lists it, so that a region in which a service has
// nothing still has something to be judged.
func (r *reader) observeRegion(ctx context.Context, kind string) error {
	o := r.resource(kind, r.account+"/"+r.region, page{exchange: r.caller}, map[string]any{"AccountId": r.account})
	if err := o.emit(ctx); err != nil {
		return err
	}
	r.listed(kind)
	return nil
}
