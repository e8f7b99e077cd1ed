// SPDX-License-Identifier: Apache-2.0
import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import type { FanSpeed, Thermometer } from '@/domain/sensors'
import { knownCause } from '@/domain/cause'
import { usePreferences } from '@/stores/preferences'
import type { Maybe } from '@/api/types'

// Words and numbers in the chosen language.
export function useText() {
  const { t } = useI18n()
  const preferences = usePreferences()
  const format = computed(() => preferences.format)

  function sensorName(label: Thermometer['label']): string {
    if (label.key === null) return label.text
    return label.key === 'nozzle_n' ? t('sensor.nozzle_n', { n: label.n }) : t(`sensor.${label.key}`)
  }

  function fanName(fan: FanSpeed): string {
    return fan.name === 'fan' ? t('sensor.fan') : fan.text
  }

  // A cause that this page does not know is shown as the hub calls it.
  function causeText(cause: Maybe<string>): string | null {
    if (!cause) return null
    const known = knownCause(cause)
    return known ? t(`cause_short.${known}`) : cause.replaceAll('_', ' ')
  }

  return { t, format, sensorName, fanName, causeText }
}
