// Small drawings: severity, kinds.
import { t, type Key } from '../i18n';
import { glyphOf } from '../model/kinds';
import { GLYPHS, RANK_SHAPES, RANK_TEXT_Y } from '../model/shapes';
import type { AlertState, Rank } from '../model/types';

export const rankLabel = (rank: Rank): string => t('rank.label', { rank, name: t(`rank.${rank}` as Key & `rank.${Rank}`) });

/** Filled while nobody has the alert, hollow when somebody does: the same on the map. */
export function SeverityMark({ rank, state = 'open', size = 22, label = true }: { rank: Rank; state?: AlertState; size?: number; label?: boolean }) {
  const hollow = state !== 'open';
  const colour = `var(--sev${rank})`;
  return (
    <svg class="mark" width={size} height={size} viewBox="-1.5 -1.5 27 27" role={label ? 'img' : undefined} aria-label={label ? rankLabel(rank) : undefined} aria-hidden={label ? undefined : true}>
      <path d={RANK_SHAPES[rank]} fill={hollow ? 'var(--panel)' : colour} stroke={hollow ? colour : 'var(--sev-edge)'} stroke-width={hollow ? 2.4 : 1.2} stroke-linejoin="round" />
      <text x="12" y={RANK_TEXT_Y[rank]} text-anchor="middle" font-size="13" font-weight="700" fill={hollow ? 'var(--strong)' : `var(--sev${rank}-ink)`} aria-hidden="true">
        {rank}
      </text>
    </svg>
  );
}

export function KindMark({ kind, size = 15 }: { kind: string; size?: number }) {
  return (
    <svg class="mark" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={GLYPHS[glyphOf(kind)]} fill="var(--event)" fill-rule="evenodd" />
    </svg>
  );
}
