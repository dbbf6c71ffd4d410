package gcp

import (
	"context"

	cloudasset "google.golang.org/api/cloudasset/v1"

	"github.com/tallystick/tallystick/collectors"
)

// assetPage is the most that one page may have.
// Source: Cloud Asset API reference, assets.list, pageSize.
const assetPage = 1000

const listAssets = "cloudasset.assets.list"

// assets reads the assets of the scope, of one content type, to the end. Each
// comes with the time of the snapshot and the exchange that it came by.
//
// Limits: the inventory is eventually consistent, and an asset says itself when
// it last changed (updateTime). Pages are of one snapshot as far as the service
// keeps it; each observation carries the read time of its own page.
func (t *task) assets(ctx context.Context, content string, types []string, each func(asset map[string]any, page answer) error) error {
	service, err := cloudasset.NewService(ctx, t.estate.client("cloudasset", t, t.estate.identity.cloud)...)
	if err != nil {
		return errRunner{err}
	}
	return t.pages(ctx, listAssets, func(ctx context.Context, token string) error {
		list := service.Assets.List(t.parent).ContentType(content).PageSize(assetPage).Context(ctx)
		if len(types) > 0 {
			list.AssetTypes(types...)
		}
		_, err := list.Do(after(token)...)
		return err
	}, func(page answer) error {
		assets, err := page.members(listAssets, "assets", "name", "assetType")
		if err != nil {
			return err
		}
		for _, asset := range assets {
			if err := each(asset, page); err != nil {
				return err
			}
		}
		return nil
	})
}

// observeAsset hands over an asset, with the time of the snapshot.
func (t *task) observeAsset(ctx context.Context, kind string, asset map[string]any, page answer) error {
	return t.observe(ctx, assetOf(kind, asset, page), asset)
}

// assetOf names an asset that came by a page.
func assetOf(kind string, asset map[string]any, page answer) resource {
	r := resource{kind: kind, id: text(asset, "name"), asOf: timeOf(page.document["readTime"]), exchanges: []string{page.exchange}}
	r.project, _ = project(asset)
	if of, ok := asset["resource"].(map[string]any); ok {
		r.region = text(of, "location")
	}
	return r
}

// assetKind is a type of asset and the kind that it is observed as.
type assetKind struct{ asset, kind string }

// kindsOf gives each kind once, in order.
func kindsOf(types []assetKind) []string {
	var kinds []string
	for _, a := range types {
		if len(kinds) == 0 || kinds[len(kinds)-1] != a.kind {
			kinds = append(kinds, a.kind)
		}
	}
	return kinds
}

// assetCall declares the listing of one content type, on which all its kinds rest.
func assetCall(permission string) []collectors.Call {
	return []collectors.Call{{Operation: listAssets, Permission: permission}}
}
