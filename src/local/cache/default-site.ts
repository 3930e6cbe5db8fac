/** The site that `--origin` names: `default`, for all hosts. Every start says anew where it is. */
import { DEFAULT_SITE } from "../../../core/site.ts";
import { keepSite, shownSite, siteSettings } from "../../frontend/admin/sites-plane.ts";
import type { Backend } from "../../frontend/backend/backend.ts";
import { Problem } from "../../frontend/http/problems.ts";

const RETRY_MS = 500;

/** Whether a site is in front of an origin, however the origin's URL is spelled. */
const isInFrontOf = (siteOrigin: string, origin: string): boolean =>
  new URL(siteOrigin).href === new URL(origin).href;

/**
 * Sets the site's origin, once a majority of the members can be reached: at a start they come one
 * by one. What else was set of the site stays, as the other members know it.
 *
 * @param isClosed whether the node has ended meanwhile
 * @returns whether anything was changed
 */
export async function makeDefaultSite(
  backend: Backend,
  origin: string,
  isClosed: () => boolean,
): Promise<boolean> {
  while (!isClosed()) {
    const view = await backend.freshView();
    const known = view.sites.get(DEFAULT_SITE);
    if (known !== undefined && isInFrontOf(known.settings.origin, origin)) return false;
    try {
      const others = known === undefined ? {} : shownSite(known);
      await keepSite(backend, DEFAULT_SITE, siteSettings({ ...others, origin }, view));
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
  return false;
}
