// SPDX-License-Identifier: Apache-2.0
import { createRouter, createWebHistory } from 'vue-router'
import AlarmsPage from './pages/AlarmsPage.vue'
import JobPage from './pages/JobPage.vue'
import JobsPage from './pages/JobsPage.vue'
import KeysPage from './pages/KeysPage.vue'
import NotFoundPage from './pages/NotFoundPage.vue'
import ShopPage from './pages/ShopPage.vue'

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/', redirect: '/shop' },
    { path: '/shop', name: 'shop', component: ShopPage },
    { path: '/jobs', name: 'jobs', component: JobsPage },
    { path: '/jobs/:id', name: 'job', component: JobPage, props: true },
    { path: '/alarms', name: 'alarms', component: AlarmsPage },
    { path: '/keys', name: 'keys', component: KeysPage },
    { path: '/:rest(.*)*', name: 'not_found', component: NotFoundPage },
  ],
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? undefined : { top: 0 }),
})
